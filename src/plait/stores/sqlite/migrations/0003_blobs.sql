-- A large entry's body is empty here and is a file of this name beside the database.
ALTER TABLE entries ADD COLUMN blob TEXT;
CREATE INDEX entries_by_blob ON entries (blob) WHERE blob IS NOT NULL;
