-- Finding out whether a message belongs to a delivery costs the same however many were made.

CREATE INDEX delivery_message ON delivery (chat, message_id);
