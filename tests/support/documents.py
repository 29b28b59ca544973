"""Markdown as models write it: one document per thing that rendering, healing or splitting could get wrong."""

from __future__ import annotations

ANSWER = """## How to read a large file in Python

Reading a large file **line by line** keeps memory use low, because only one line is held at a time. A file object is its own iterator, so a
plain `for` loop is all that is needed:

```python
def count_errors(path: str) -> int:
    total = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if "ERROR" in line:
                total += 1
    return total


print(count_errors("server.log"))
```

### Why this works

1. **Lazy reading**: the file is read in blocks of 8 KiB behind the scenes, and the lines are cut out of these blocks as they are asked for.
2. **Automatic closing**: the `with` statement closes the file, even if an exception is raised in the loop.
3. **Explicit encoding**: without it, the result depends on the machine that runs the program, which is rarely what one wants.

If the file has no line breaks at all, read it in chunks instead:

- choose a chunk size, such as 64 KiB
- call `read(size)` until it returns an empty string
- take care of words that are split over two chunks

| Method | Memory | Speed |
|--------|--------|-------|
| `read()` | whole file | fast |
| `for line in file` | one line | fast |
| `read(65536)` | one chunk | fastest |

> **Note:** for binary files open with mode `"rb"`, and for compressed ones use the `gzip` module, which gives the same kind of object.

Let me know if you want an example that uses several processes, or see [the documentation](https://docs.python.org/3/library/io.html).
"""

CODE = """Here is the function:

```python
def greet(name: str) -> str:
    \"\"\"Say **hello**; `_` and * stay.\"\"\"
    return f"Hello, {name}!"  # <b>not html</b>, @everyone, <@1>


for who in ["Ada", "Grace"]:
    print(greet(who))
```

And in a shell, with ``a `tick` inside``:

~~~sh
echo "a | b" > out.txt && cat ~/out.txt
~~~

    indented code stays as it is
"""

LISTS = """Steps to follow:

1. **Install** the tool:
   - on Linux: `apt install tool`
   - on macOS:
     - with Homebrew
     - or from source, which takes *much* longer
2. **Configure** it.

   A second paragraph of the same item.

   ```toml
   [server]
   port = 8080
   ```
3. Run it

- [x] done
- [ ] not done
* star bullet
+ plus bullet
"""

LOOSE_LISTS = """1. First item, loose.

2. Second item, loose.

   > quoted inside an item

10. Tenth by its own number.
"""

TABLE = """| Language | Year | Creator |
|:---------|-----:|:-------:|
| Python   | 1991 | Guido van Rossum |
| C        | 1972 | Dennis Ritchie |
| 日本語    | 2024 | **bold** `code` |
| a \\| b   |      | [site](https://example.org) |

Text after the table.
"""

INLINE = """This is **bold**, *italic*, ***both***, ~~gone~~, `code`, **bold with `code` and *italic* inside** and _under_ __lines__.

Words like snake_case_name, 2 * 3 * 4, a_b and file_name.py stay. So do C:\\dir and \\*escaped\\* signs.
A line break follows\x20\x20
here, and an entity: &amp; &copy; &lt;tag&gt;.
"""

LINKS = """See [the docs](https://example.org/a_b_(c)?x=1&y=2 "Title"), <https://auto.example/x_y> and https://bare.example/some_path_here.

![A picture](https://example.org/p.png) and [mail](mailto:someone@example.org), [local](./file.md), [you](tg://user?id=1), [**bold** label](http://b.example).

A claim[1] and [a reference][ref].

[1]: https://example.org/one
[ref]: https://example.org/two
"""

FOOTNOTES = """A claim[^1] and another[^note], in code `[^1]`, **bold[^2]**.

[^1]: The first source, https://example.org/a_b.
[^2]: The second one,
    over two lines.
[^note]: A *named* one.
"""

HEADINGS = """# One
## Two with **bold**
### Three with `code`
#### Four
##### Five
Setext heading
==============
Text below.

---

Another
-------
Last words.
"""

QUOTES = """> A quote with **bold** text
> over two lines.
>
> > Nested quote.
>
> - list in quote
> - second

Between.

> Second quote
> ```js
> let x = 1;
> ```
"""

ANGLES = """<think>
The user wants **x** < y and y > z.
</think>

Use `Vec<T>` or Vec<String>, if a<b then </div> and <br> survive. <!-- a comment --> stays.

<details>
<summary>More</summary>

- hidden *item*

</details>
"""

MENTIONS = """Hi @everyone and @here, <@123456789012345678>, <@!1>, <@&42>, <#99>, </ban:1>, <id:browse>,
<t:1700000000:R>, <:smile:1>, <a:wave:2>.

`@everyone` in code and [@here](https://example.org/@everyone).
"""

EMOJI = """Faces 😀😃😄 and families 👨‍👩‍👧‍👦, flags 🇩🇪🇫🇷, skin 👍🏽, keycap 1️⃣, **bold 😀** `code 😀` *e\u0301* [link 🎉](https://example.org).

- 🚀 **Launch** 🚀
- 🏴󠁧󠁢󠁥󠁮󠁧󠁿 tag flag
"""

RTL = """# مرحبا بالعالم

هذا نص **عريض** و *مائل* مع `code` في الوسط. (قوس) [واحد] "اقتباس" 3.5٪

1. بند أول
2. בית שני עם [קישור](https://example.org)
   - תת־סעיף **מודגש:** טקסט

| שם | גיל |
|----|----:|
| אבי | 12 |
| **محمد** | ٣ |

> اقتباس \u200fمع English في الداخل و $x^2$
"""

CJK = """## 概要

これは**太字**と*斜体*を含む長い文章です。次の文です。改行なしで続きます。漢字が並ぶだけで空白はありません。

- 项目一：说明
- 项目二：`代码`

한국어 문장도 있습니다. 끝.
"""

TIGHT = """**注意：**请先阅读**「说明」**再操作，使用**`print()`**函数，见**[文档](https://example.org/a)**说明。

これは**「重要」**です。*「斜体」*も、**太字。**次の文も、***「両方」***も、そのまま**続き**ます。

- **注：**项目一
- **Note:**do this, and *Tip:*do that

> **引用：**内容。普通**粗体**，以及（**括号**）里的。
"""

LATEX = """The formula $E = mc^2$ and \\(a_1 * b_1\\), costs $5 to $10.

$$
\\sum_{i=1}^{n} x_i^2 = \\frac{a}{b}
$$

\\[ x^* = \\alpha \\]
"""

FORMULAS = """## Solving $ax^2 + bx + c = 0$

For $a \\ne 0$ the roots are:

\\[
x_{1,2} = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}
\\]

- if $\\Delta > 0$, **two** roots, $\\alpha$ and $\\beta$
- else $x \\in \\mathbb{C}$, $i$th power

$$
\\begin{aligned}
f(x) &= x^2 \\\\
- g(x) &= \\text{if } x > 0
\\end{aligned}
$$

> A ticket is $5, two are $9.50 (or $4.75 each); with $n$ of them $5n \\le 40$. `$x$` is code, $HOME:$PATH is not.
> $$
> + \\int_0^\\infty e^{-x} \\, dx = 1
> $$

| $n$ | $n^2$ |
|-----|-------|
| \\(1\\) | $1$ |

设$x$为**整数**，$y_i$也是。
"""

MARKDOWN_IN_FENCE = """````markdown
# Not a heading
```python
print("inner")
```
| not | a table |
````

Done.
"""

LONG_FENCE = (
    "Before.\n\n```python\n" + "".join(f"value_{n} = compute({n}, name='item {n}')  # line {n}\n" for n in range(120)) + "```\n\nAfter.\n"
)

LONG_PROSE = "\n\n".join(
    " ".join(f"Sentence {n} of paragraph {p} has **some** words, and says *little*." for n in range(9)) for p in range(12)
)

LONG_LIST = "".join(
    f"1. **Point {n}** explains something at a certain length, so that it fills a line.\n"
    f"   - detail `a{n}` of it\n   - detail `b{n}` of it\n"
    for n in range(60)
)

LONG_TABLE = "| n | square | cube |\n|--:|--:|--:|\n" + "".join(f"| {n} | {n * n} | {n**3} |\n" for n in range(200))

UNBROKEN = "word" * 1500 + " 👨‍👩‍👧‍👦" * 300 + "漢字" * 800

ODD = "* * *\n- - nested\n-\n#\n> \n```\n```\n\n[]()\n![]()\n****\n__ __\n<>\n[x]:\n|\n|-|\n&#0; &#xD800; \\\n"

DOCUMENTS: dict[str, str] = {
    "answer": ANSWER,
    "code": CODE,
    "lists": LISTS,
    "loose lists": LOOSE_LISTS,
    "table": TABLE,
    "inline": INLINE,
    "links": LINKS,
    "footnotes": FOOTNOTES,
    "headings": HEADINGS,
    "quotes": QUOTES,
    "angles": ANGLES,
    "mentions": MENTIONS,
    "emoji": EMOJI,
    "right to left": RTL,
    "cjk": CJK,
    "tight": TIGHT,
    "latex": LATEX,
    "formulas": FORMULAS,
    "markdown in fence": MARKDOWN_IN_FENCE,
    "odd": ODD,
}
"""Short enough that every prefix can be tried."""

LONG_DOCUMENTS: dict[str, str] = {
    "long fence": LONG_FENCE,
    "long prose": LONG_PROSE,
    "long list": LONG_LIST,
    "long table": LONG_TABLE,
    "unbroken": UNBROKEN,
    "everything": "\n\n".join(DOCUMENTS.values()),
}
"""More than a page each, on either platform."""
