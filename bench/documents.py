"""Answers as models write them, for measuring what rendering costs: one per kind of text, about two thousand characters each.

What they say does not matter, how they are marked up does: paragraphs of several sentences, numbered points with a bold lead, short code.
"""

from __future__ import annotations

PROSE = """The history of the lighthouse is a history of fuel. The first ones burned wood, which was cheap but gave a light that nobody could \
rely on: wet wood smokes, dry wood burns down in an hour, and on a stormy night, when the light is needed most, the keeper could hardly keep \
the fire alive. Coal was better and dirtier. It took two men a night to feed a grate with it, and the glass around it, where there was any, \
had to be wiped every few minutes.

Oil changed that. A lamp with a round wick and a glass chimney, invented in Geneva around 1780, gave as much light as ten candles and needed \
nobody to stand beside it. Put into a mirror, it could be seen for fifteen miles. What was still missing was a way to waste less of it: even a \
good mirror loses half of what falls on it, and a bad one much more.

The answer came from a man who worked on roads. Augustin Fresnel saw that a thick lens does its work only at its surface, so the glass in \
the middle can be left out. His rings of prisms bent nearly all of the light into one flat beam. The first was lit in 1823 at the mouth of \
the Gironde, and captains who had known the old light wrote that they thought a new star had risen.

After that the fuel changed quickly, from rape oil to paraffin, from paraffin to gas, and from gas to electric arcs, but the lens stayed. Many \
of them still turn today, on a bath of mercury so smooth that a finger can set three tons of glass in motion.

What ended the keeper's life was not the lens but a valve. Gustaf Dalén's sun valve, a black rod between three gilded ones, opened the gas \
when it grew dark and closed it when it grew light. He was given a Nobel prize for it in 1912, the year in which an accident with gas had \
blinded him.
"""

ANSWER = """## Keeping a process alive

There are three usual ways to keep a program running after you log out. Which one fits depends on **who restarts it** when it fails.

1. **A terminal multiplexer**: `tmux` keeps the session open, and you can come back to it later. Nothing restarts the program.
2. **A service manager**: `systemd` starts it at boot, restarts it when it ends, and collects its log.
3. **A container runtime**: the same, plus an image that holds all its dependencies.

For a server the second way is the best one. Create `/etc/systemd/system/bot.service`:

```ini
[Unit]
Description=Chat bot
After=network-online.target

[Service]
ExecStart=/opt/bot/.venv/bin/python -m bot
Restart=on-failure
RestartSec=5
User=bot

[Install]
WantedBy=multi-user.target
```

Then load and start it:

```bash
sudo systemctl daemon-reload
sudo systemctl enable --now bot
journalctl -u bot -f
```

### What to watch for

- The service runs as its own user, so **that user** needs to read the configuration.
- `Restart=on-failure` does not restart a program that ends with code 0.
- If it fails five times within ten seconds, `systemd` gives up. Raise `StartLimitBurst` if that is too strict.

| Setting | Default | Meaning |
|---------|---------|---------|
| `Restart` | `no` | when to start again |
| `RestartSec` | 100 ms | how long to wait |
| `User` | root | whom to run as |

> **Note:** after every change of the unit file, run `daemon-reload` again, or the old one stays in force.

If you need more than one copy of it, see [the page on templates](https://www.freedesktop.org/software/systemd/man/systemd.unit.html).
"""

DENSE = """### **Python** or *Rust*?

Both are **good**, but for *different* things: `Python` is **quick to write**, `Rust` is **quick to run**. Here is the *short* version:

- **Speed**: `Rust` by *far*, often **50×**
  - *start-up*: `2 ms` against `40 ms`
  - *loops*: see [benchmarks](https://example.org/bench)
- **Libraries**: `Python` for *data*, **Rust** for *systems*
  - `numpy`, `pandas`, `torch`
  - `tokio`, `serde`, `axum`
- **Learning**: *days* against **months**

**Types** in `Python` are *optional* (`def f(x: int) -> str`), in `Rust` they are **mandatory** and ~~annoying~~ *helpful*. **Errors** are \
`Exception`s or `Result<T, E>`; *both* are **fine** once you `try` them. **Memory**: *counted* in `Python`, **owned** in `Rust`.

1. **Start** with `python -m venv`
2. **Measure** with `py-spy` or *perf*
3. **Move** the *hot* part with `pyo3`
4. **Ship** with [maturin](https://example.org/maturin)

> **Rule:** *first* make it **work**, *then* make it **right**, *then* `fast`.

| | **Python** | **Rust** |
|-|:-:|:-:|
| `GIL` | *yes* | **no** |
| `async` | **yes** | *yes* |
"""

CJK = """## 如何选择数据库

选择数据库时，首先要看**数据的形状**和**访问方式**，而不是看哪一个最流行。下面是几个常见的判断标准。

1. **数据量**：如果只有几百万行，`SQLite` 就足够了，不需要单独的服务器。
2. **并发写入**：多个进程同时写入时，请使用`PostgreSQL`，它的锁更细。
3. **查询方式**：全文搜索、地理位置和时间序列都有专门的扩展。

很多人一开始就选择分布式数据库，结果大部分时间都花在运维上。其实一台好的机器可以处理每秒几万次请求，这对绝大多数网站来说已经**绰绰有余**。

### 例子

假设你要保存聊天记录。每条消息有发送者、时间和内容，查询总是按照对话和时间进行，所以一个联合索引就够了：

```sql
CREATE INDEX message_by_time ON message (conversation, created_at);
```

日本語でも同じです。**索引**を正しく作れば、検索は速くなります。ただし、索引が多すぎると書き込みが遅くなるので、**「必要なものだけ」**を作りましょう。

- 先测量，再优化
- 备份要**定期**恢复一次，才知道它能不能用
- 升级之前先读`CHANGELOG`

> **注意：**删除数据之前，请先确认备份是完整的。
"""

EMOJI = """# 🎉 Party plan

Hi! 👋 Here is a **plan** for Saturday 🗓️, tell me what you think 🤔:

- 🕖 **19:00** Doors open 🚪, drinks 🍹🍺🥤
- 🕗 **20:00** Pizza 🍕🍕 (one *vegan* 🌱, one with **cheese** 🧀)
- 🕘 **21:00** Karaoke 🎤😂, see [the list 🎶](https://example.org/songs)
- 🌙 **00:00** Quiet, please 🤫 (neighbours 👨‍👩‍👧‍👦!)

## 🛒 To buy

| What 🛍️ | How many | Who |
|---------|---------:|-----|
| 🍕 Pizza | 6 | 👩 Ana |
| 🥤 Cola | 12 | 👨 Ben |
| 🎈 Balloons | 50 | 🧑 Cem |

**Weather** ☀️🌤️: dry, about 22 °C, so the *balcony* 🌇 is open. Bring a jacket 🧥 for later ❄️!

> 💡 **Tip:** the tram 🚊 `12` runs all night 🌃, and bikes 🚲 can stand in the yard.

See you there 🥳🥳🥳! If you can't come 😢, write me by *Friday* 📬, so that I don't buy too much 💸.
"""

CODE = """Here is a small server that counts visits:

```python
from __future__ import annotations

import asyncio
from collections import Counter

visits: Counter[str] = Counter()


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    \"\"\"Answer one request and count it.\"\"\"
    line = await reader.readline()
    method, path, *_ = line.decode("latin-1").split()
    if method != "GET":
        writer.write(b"HTTP/1.1 405 Method Not Allowed\\r\\n\\r\\n")
    else:
        visits[path] += 1
        body = f"{path}: {visits[path]} visits\\n".encode()
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(body), body))
    await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(handle, "127.0.0.1", 8080)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
```

Run it with `python server.py` and try it from another terminal:

```bash
for i in 1 2 3; do
    curl -s http://127.0.0.1:8080/hello
done
```

It prints `/hello: 1 visits`, then `2`, then `3`. The counter lives in memory, so it starts anew with the process.
"""

MATHS = """## The quadratic formula

To solve $ax^2 + bx + c = 0$ with $a \\ne 0$, divide by $a$ and complete the square:

$$
x^2 + \\frac{b}{a} x + \\left(\\frac{b}{2a}\\right)^2 = \\frac{b^2 - 4ac}{4a^2}
$$

Taking the root of both sides gives

\\[
x_{1,2} = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}
\\]

### What the discriminant tells

Let $\\Delta = b^2 - 4ac$. Then:

- if $\\Delta > 0$, there are **two** real roots,
- if $\\Delta = 0$, there is **one**, namely $x = -\\frac{b}{2a}$,
- if $\\Delta < 0$, the roots are $\\alpha \\pm i\\beta$ with $\\alpha, \\beta \\in \\mathbb{R}$.

By Vieta, $x_1 + x_2 = -\\frac{b}{a}$ and $x_1 \\cdot x_2 = \\frac{c}{a}$. More generally, for $\\sum_{k=0}^{n} a_k x^k$ the sum of all roots is \
\\(-\\frac{a_{n-1}}{a_n}\\), and their product is $(-1)^n \\frac{a_0}{a_n}$.

**Example.** A ticket costs $5 and a drink $3; with $x$ tickets and $y$ drinks, $5x + 3y \\le 40$.
"""

DOCUMENTS: dict[str, str] = {
    "prose": PROSE,
    "answer": ANSWER,
    "code": CODE,
    "dense": DENSE,
    "maths": MATHS,
    "cjk": CJK,
    "emoji": EMOJI,
}
"""By kind."""
