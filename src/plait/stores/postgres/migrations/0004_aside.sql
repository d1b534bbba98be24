-- A message that nobody could read is put aside: heard, and its body is kept.
ALTER TABLE plait.messages ADD COLUMN is_aside boolean NOT NULL DEFAULT false;
