-- A search of users looks through one text of each, with his conference ID in it, and through nothing else.

UPDATE users SET search_text = search_text || coalesce(
    (SELECT ' ' || c.conference_id FROM conferences c WHERE c.organizer = users.user_key AND c.personal), '');

-- All that a search reads, in the order in which it is shown: without it each search would read every hash too.
CREATE INDEX users_by_search ON users (identity, enabled, search_text);

-- {postgres}
-- Where a text stands in another one, 0: not at all. SQLite has it by this name.
CREATE FUNCTION instr(text, text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT strpos($1, $2)';
-- {both}
