"""`interact.post` and `interact.keep`, functions of PostgreSQL with which an application posts in
its own transaction.

    SELECT interact.post(room, audience, type, body, sender [, id]);
    SELECT interact.keep(room, audience, key, type, body, sender [, of_user, only_while, id]);

The second one is for the room's kept state. Both return the message's id. The message is stored,
and gets its number, when the caller's transaction commits; rolled back, it never was. A deferred
trigger does that, because a number may only be given by whoever holds the lock of its stream: taken
at the call, the lock would keep everybody else from posting in the room for as long as the
application's transaction is open.
https://www.postgresql.org/docs/current/sql-createtrigger.html (CONSTRAINT TRIGGER)

An entry of the outbox without an owner is free for any gateway, so nothing else is needed for it to
be published. :data:`CHANNEL` tells the gateways that there is one.

The functions run with the rights of their owner, the gateway's login. Nobody else may call them
until an administrator grants USAGE on the schema `interact` and EXECUTE on one or the other. They
find nothing but what is PostgreSQL's own and what they name by its schema: in others, anybody may
have put an operator that fits better.
https://www.postgresql.org/docs/current/sql-createfunction.html (SECURITY DEFINER safely)
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, text

from gateway.domain.kept import KEY, KEY_LENGTH
from gateway.domain.order import HIDES, MUTED, SETTINGS
from gateway.domain.own_types import OWN_TYPES
from gateway.store.quota import PARTICIPANTS, Quota
from gateway.store.values import USER_LENGTH

#: Of LISTEN and NOTIFY; without a payload.
CHANNEL: Final = "interact_posted"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PostLimits:
    """The limits of a message that comes by `interact.post`.

    ``body``: bytes of its JSON. ``nesting``: levels of its body. ``type``: characters of its type.
    ``kept``: bytes with a key; ``kept_of_room`` and ``kept_of_user``: entries that may stand;
    ``kept_bytes_of_user`` and ``kept_bytes_of_users``: bytes of one author's, and of all authors'.
    """

    quota: Quota = field(default_factory=Quota)
    body: int = 65_536
    nesting: int = 100
    type: int = 100
    kept: int = 16_384
    kept_of_room: int = 10_000
    kept_of_user: int = 1_000
    kept_bytes_of_user: int = 256 * 1024
    kept_bytes_of_users: int = 32 * 1024 * 1024


_STATE: Final = text(
    """
    SELECT quote_ident(current_schema()) AS tables,
           has_database_privilege(current_database(), 'CREATE') AS may_create,
           schema.oid IS NOT NULL AS exists,
           -- Not whether it may create there: what somebody else has put into a schema of theirs, a
           -- trigger for example, would run with the gateway's rights.
           coalesce(pg_has_role(schema.nspowner, 'USAGE'), false) AS is_ours,
           (SELECT obj_description(oid, 'pg_proc') FROM pg_proc
            WHERE pronamespace = schema.oid AND proname = 'post' LIMIT 1) AS belongs_to,
           EXISTS (SELECT FROM pg_proc
                   WHERE pronamespace = schema.oid AND proname = 'keep') AS has_keep
    FROM (SELECT 1) AS one LEFT JOIN pg_namespace AS schema ON schema.nspname = 'interact'
    """
)


def install(connection: Connection, limits: PostLimits) -> None:
    """Make or renew the functions, in the caller's transaction; needs the newest tables.

    Without the right to do so nothing is changed: the gateway works without them, and the log names
    the remedy.
    """
    state = connection.execute(_STATE).one()
    belongs_to = f"the gateway with tables in {state.tables}"
    if not (state.is_ours if state.exists else state.may_create):
        _log.info(
            "the function interact.post is not there: the gateway's login may not create the schema"
            " interact. Who wants it makes the schema: CREATE SCHEMA interact AUTHORIZATION <login>"
        )
        return
    if state.belongs_to not in {None, belongs_to}:
        _log.warning(
            "interact.post of this database belongs to %s; it is left alone", state.belongs_to
        )
        return
    is_new = state.belongs_to is None
    # Not IF NOT EXISTS, which needs the right to make one also where it exists.
    made = () if state.exists else ("CREATE SCHEMA interact",)
    closed = (
        *(_CLOSED if is_new else ()),
        *(() if state.has_keep else _KEEP_CLOSED),
        _TAKE_CLOSED,
    )
    functions = _functions(state.tables, limits)
    for statement in (*made, *_TABLE, *functions, _TRIGGER, *closed, _comment(belongs_to)):
        connection.exec_driver_sql(statement)


_TABLE: Final = (
    """
CREATE TABLE IF NOT EXISTS interact.posted (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    room bigint NOT NULL,
    audience text NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    sender text NOT NULL,
    sent_at timestamptz NOT NULL
)
""",
    "COMMENT ON TABLE interact.posted IS 'messages of transactions that are not committed yet'",
    # Columns that came later; only if they are missing, because that waits for every transaction
    # that has posted.
    """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'interact.posted'::regclass
                   AND attname = 'keep') THEN
        ALTER TABLE interact.posted
            ADD COLUMN keep text, ADD COLUMN of_user text, ADD COLUMN only_while text;
    END IF;
END $$
""",
)

#: Not made anew: that would wait for every transaction that has posted.
_TRIGGER: Final = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'interact.posted'::regclass
                   AND tgname = 'store_posted') THEN
        CREATE CONSTRAINT TRIGGER store_posted AFTER INSERT ON interact.posted
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION interact.store_posted();
    END IF;
END $$
"""

#: Once, so that later grants stay. A new function is everybody's.
_CLOSED: Final = (
    "REVOKE ALL ON FUNCTION interact.post(bigint, text, text, jsonb, text, uuid) FROM PUBLIC",
    "REVOKE ALL ON FUNCTION interact.store_posted() FROM PUBLIC",
)

_KEEP: Final = "interact.keep(bigint, text, text, text, jsonb, text, text, text, uuid)"
_KEEP_CLOSED: Final = (f"REVOKE ALL ON FUNCTION {_KEEP} FROM PUBLIC",)
#: What both have in common is nobody's to call.
_TAKE_CLOSED: Final = (
    "REVOKE ALL ON FUNCTION interact.take(bigint, text, text, jsonb, text, uuid, text, text, text)"
    " FROM PUBLIC"
)

_POST: Final = """
CREATE OR REPLACE FUNCTION interact.post(
    room bigint, audience text, type text, body jsonb, sender text,
    id uuid DEFAULT gen_random_uuid()
) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT interact.take(post.room, post.audience, post.type, post.body, post.sender, post.id,
                         NULL, NULL, NULL)
$$
"""

_KEEP_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION interact.keep(
    room bigint, audience text, key text, type text, body jsonb, sender text,
    of_user text DEFAULT NULL, only_while text DEFAULT NULL, id uuid DEFAULT gen_random_uuid()
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF keep.key IS NULL THEN
        RAISE 'key must not be NULL; interact.post posts without one'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    RETURN interact.take(keep.room, keep.audience, keep.type, keep.body, keep.sender, keep.id,
                         keep.key, keep.of_user, keep.only_while);
END $$
"""

_TAKE: Final = """
CREATE OR REPLACE FUNCTION interact.take(
    room bigint, audience text, type text, body jsonb, sender text, id uuid,
    key text, of_user text, only_while text
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text := take.body::text;
    closed timestamptz;
    taken uuid;
BEGIN
    IF take.audience IS NULL OR take.audience NOT IN ('public', 'private') THEN
        RAISE 'audience must be public or private, not %', coalesce(take.audience, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF take.type IS NULL OR length(take.type) NOT BETWEEN 1 AND {type_length} THEN
        RAISE 'type must have 1 to {type_length} characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF take.type IN ({own_types}) THEN
        RAISE 'type % is reserved for the gateway; choose another', take.type
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF take.sender IS NULL OR length(take.sender) NOT BETWEEN 1 AND {user_length} THEN
        RAISE 'sender must have 1 to {user_length} characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- The rest of RFC 8265 is not to be had here: such names are members of no room.
    IF take.sender IS NOT NFC NORMALIZED OR take.sender ~ '[！-￯　]' THEN
        RAISE 'sender must be in the form of user names: composed (NFC), of the usual width'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF said IS NULL THEN
        RAISE 'body must be a JSON value; the JSON null is written ''null''::jsonb'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF octet_length(said) > {body} THEN
        RAISE 'body has % bytes, and may have {body} (limits.body_bytes)', octet_length(said)
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    -- Readers in other languages refuse longer numbers.
    IF said ~ '([0-9]{{250}}){{16}}' THEN
        RAISE 'body has a number of 4,000 digits or more'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF length(said) - length(translate(said, '[{{', '')) > {nested}
            AND interact.depth(take.body) > {nested} THEN
        RAISE 'body is nested deeper than {nested} levels'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF take.key !~ '{key}' OR take.only_while !~ '{key}' THEN
        RAISE 'a key has 1 to {key_length} letters, digits, . _ : ~ - (first a letter or digit)'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- The gateway carries these out if it takes them itself; here the state would say what is not.
    IF (take.audience = 'public' AND take.of_user IS NULL
            AND (take.key = '{settings}' OR take.key ~ '^{hides}(:|$)'))
            OR (take.audience = 'private' AND take.key ~ '^{muted}(:|$)') THEN
        RAISE 'the key % is an order to the gateway: a host posts it there', take.key
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF take.of_user IS NOT NULL AND length(take.of_user) NOT BETWEEN 1 AND {user_length} THEN
        RAISE 'of_user must have 1 to {user_length} characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF take.key IS NOT NULL AND octet_length(said) > {kept} THEN
        RAISE 'body has % bytes, and with a key may have {kept} (limits.kept_bytes)',
            octet_length(said) USING ERRCODE = 'program_limit_exceeded';
    END IF;
    SELECT closed_at INTO closed FROM {tables}.rooms WHERE rooms.id = take.room;
    IF NOT found THEN
        RAISE 'there is no room %', coalesce(take.room::text, 'NULL')
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    -- A repeated id gets its first answer, also in a room that has been closed since.
    IF closed IS NOT NULL
            AND NOT EXISTS (SELECT FROM {tables}.messages WHERE messages.id = take.id) THEN
        RAISE 'room % is closed', take.room USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO interact.posted AS before
        (id, room, audience, type, body, sender, sent_at, keep, of_user, only_while)
    VALUES (coalesce(take.id, gen_random_uuid()), take.room, take.audience, take.type, said,
            take.sender, clock_timestamp(), take.key, take.of_user, take.only_while)
    ON CONFLICT ON CONSTRAINT posted_pkey DO UPDATE SET sent_at = before.sent_at
        WHERE (before.room, before.audience, before.type, before.sender, before.keep,
               before.of_user)
            IS NOT DISTINCT FROM (excluded.room, excluded.audience, excluded.type, excluded.sender,
                                  excluded.keep, excluded.of_user)
            AND before.body::jsonb = excluded.body::jsonb
    RETURNING before.id INTO taken;
    IF NOT found THEN
        RAISE 'id % was used for another message; choose a new one', take.id
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN taken;
END $$
"""

_DEPTH: Final = """
CREATE OR REPLACE FUNCTION interact.depth(body jsonb) RETURNS integer
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE inside(value, depth) AS (
        SELECT depth.body, 1
        UNION ALL
        SELECT child.value, inside.depth + 1
        FROM inside, LATERAL (
            SELECT * FROM jsonb_array_elements(
                CASE jsonb_typeof(inside.value) WHEN 'array' THEN inside.value ELSE '[]' END)
            UNION ALL
            SELECT each.value FROM jsonb_each(
                CASE jsonb_typeof(inside.value) WHEN 'object' THEN inside.value ELSE '{{}}' END
            ) AS each
        ) AS child(value)
        WHERE jsonb_typeof(child.value) IN ('array', 'object') AND inside.depth <= {nested}
    )
    SELECT max(inside.depth) FROM inside
$$
"""

# As in gateway/store/keys.py: an `until` that is a moment, with its offset.
_IS_OPEN: Final = """
CREATE OR REPLACE FUNCTION interact.is_open(body text, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until text;
BEGIN
    IF strpos(is_open.body, 'until') = 0 THEN
        RETURN true;
    END IF;
    until := CASE json_typeof(is_open.body::json) WHEN 'object'
        THEN CASE json_typeof(is_open.body::json -> 'until') WHEN 'string'
            THEN is_open.body::json ->> 'until' END END;
    IF until IS NULL OR until !~ '(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$' THEN
        RETURN true;
    END IF;
    RETURN until::timestamptz >= is_open.at;
EXCEPTION WHEN data_exception THEN
    -- No moment, or not to be read here.
    RETURN true;
END $$
"""

# Locks are taken as in gateway/store/history.py: rooms in ascending order, each with its streams.
_STORE: Final = """
CREATE OR REPLACE FUNCTION interact.store_posted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one record;
    before record;
    same boolean;
    kept record;
    part double precision;
    new_role text;
    whose text;
    stands boolean;
    has_row boolean;
    standing bigint;
    most bigint;
    of_author bigint;
    of_all bigint;
    more bigint;
BEGIN
    -- The first call of a transaction finds all that it has posted, and nothing of others: theirs
    -- is deleted before it can be seen.
    FOR one IN
        WITH taken AS (DELETE FROM interact.posted RETURNING *)
        SELECT * FROM taken ORDER BY room, number
    LOOP
        PERFORM FROM {tables}.rooms JOIN {tables}.streams ON streams.room = rooms.id
            WHERE rooms.id = one.room ORDER BY streams.audience FOR NO KEY UPDATE;
        SELECT * INTO before FROM {tables}.messages WHERE messages.id = one.id;
        IF found THEN
            BEGIN
                same := before.body::jsonb = one.body::jsonb;
            EXCEPTION WHEN data_exception THEN
                -- JSON that jsonb does not take, so it did not come by here.
                same := false;
            END;
            IF NOT same OR (before.room, before.audience, before.type, before.sender, before.keep,
                            before."of")
                    IS DISTINCT FROM (one.room, one.audience, one.type, one.sender, one.keep,
                                      one.of_user) THEN
                RAISE 'id % was used for another message; choose a new one', one.id
                    USING ERRCODE = 'unique_violation';
            END IF;
            CONTINUE;
        END IF;
        SELECT rooms.closed_at, sum(streams.head + 1 - streams.first) AS messages,
               sum(streams.bytes) AS bytes
            INTO kept
            FROM {tables}.rooms JOIN {tables}.streams ON streams.room = rooms.id
            WHERE rooms.id = one.room GROUP BY rooms.id;
        IF NOT found THEN
            RAISE 'there is no room %', one.room USING ERRCODE = 'foreign_key_violation';
        END IF;
        IF kept.closed_at IS NOT NULL THEN
            RAISE 'room % is closed', one.room
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        SELECT members.role INTO new_role
            FROM {tables}.members WHERE members.room = one.room AND members.user_id = one.sender;
        part := CASE new_role WHEN 'participant' THEN {participants} ELSE 1 END;
        IF kept.messages + 1 > part * {messages}
                OR kept.bytes + octet_length(one.body) > part * {bytes} THEN
            RAISE 'room % is full: its history has % messages and % bytes; go on in a new room',
                one.room, kept.messages, kept.bytes USING ERRCODE = 'program_limit_exceeded';
        END IF;
        IF one.only_while IS NOT NULL AND NOT EXISTS (
                SELECT FROM {tables}.kept AS entry
                WHERE entry.room = one.room AND entry.audience = 'public' AND entry.author = ''
                AND entry.keep = one.only_while AND entry.body <> 'null') THEN
            RAISE 'nothing stands under the key % of the state of room %', one.only_while, one.room
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        IF one.only_while IS NOT NULL AND NOT interact.is_open(
                (SELECT entry.body FROM {tables}.kept AS entry
                 WHERE entry.room = one.room AND entry.audience = 'public' AND entry.author = ''
                 AND entry.keep = one.only_while), one.sent_at)
                AND (one.audience, one.keep, one.of_user, new_role) IS DISTINCT FROM
                    ('public', one.only_while, NULL, 'host') THEN
            RAISE 'what stands under the key % of the state of room % is over',
                one.only_while, one.room USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        IF one.keep IS NOT NULL THEN
            -- As in gateway/domain/message.py: a host's word is the room's own.
            whose := coalesce(one.of_user, CASE new_role WHEN 'host' THEN '' ELSE one.sender END);
            SELECT entry.body <> 'null',
                   octet_length(one.body) - octet_length(nullif(entry.body, 'null'))
                INTO stands, more FROM {tables}.kept AS entry
                WHERE entry.room = one.room AND entry.audience = one.audience
                AND entry.author = whose AND entry.keep = one.keep;
            has_row := found;
            IF one.body <> 'null' AND stands IS NOT TRUE THEN
                SELECT count(*), CASE whose WHEN '' THEN {kept_of_room} ELSE {kept_of_user} END
                    INTO standing, most FROM {tables}.kept AS entry
                    WHERE entry.room = one.room AND entry.audience = one.audience
                    AND entry.author = whose AND entry.body <> 'null';
                IF standing >= most THEN
                    RAISE 'the state of room % has % such entries already; clear some, by null',
                        one.room, standing USING ERRCODE = 'program_limit_exceeded';
                END IF;
            END IF;
            more := coalesce(more, octet_length(one.body));
            IF whose <> '' AND one.body <> 'null' AND more > 0 THEN
                SELECT coalesce(sum(sizes.bytes) FILTER (WHERE sizes.author = whose), 0),
                       coalesce(sum(sizes.bytes) FILTER (WHERE sizes.author = ''), 0)
                    INTO of_author, of_all FROM {tables}.kept_sizes AS sizes
                    WHERE sizes.room = one.room AND sizes.audience = one.audience
                    AND sizes.author IN (whose, '');
                IF of_author + more > {kept_bytes_of_user}
                        OR of_all + more > {kept_bytes_of_users} THEN
                    RAISE 'the state of room % has % bytes of %, and % of all authors; clear some',
                        one.room, of_author, whose, of_all
                        USING ERRCODE = 'program_limit_exceeded';
                END IF;
            END IF;
        END IF;
        UPDATE {tables}.streams SET head = head + 1, bytes = streams.bytes + octet_length(one.body)
            WHERE streams.room = one.room AND streams.audience = one.audience;
        INSERT INTO {tables}.messages
            (id, room, audience, seq, sender, sent_at, type, body, role, keep, "of")
            SELECT one.id, one.room, one.audience, streams.head, one.sender, one.sent_at, one.type,
                   one.body, new_role, one.keep, one.of_user
            FROM {tables}.streams WHERE streams.room = one.room AND streams.audience = one.audience;
        IF one.keep IS NOT NULL AND (has_row OR one.body <> 'null') THEN
            INSERT INTO {tables}.kept AS entry
                (room, audience, author, keep, seq, id, sender, sent_at, type, body, role, "of")
                SELECT one.room, one.audience, whose, one.keep, streams.head, one.id,
                       one.sender, one.sent_at, one.type, one.body, new_role, one.of_user
                FROM {tables}.streams
                WHERE streams.room = one.room AND streams.audience = one.audience
                ON CONFLICT ON CONSTRAINT kept_pk DO UPDATE SET
                    (seq, id, sender, sent_at, type, body, role, sender_name, "of")
                    = (excluded.seq, excluded.id, excluded.sender, excluded.sent_at, excluded.type,
                       excluded.body, excluded.role, NULL, excluded."of");
        END IF;
        INSERT INTO {tables}.outbox (room, audience, seq, size)
            SELECT room, audience, head, octet_length(one.body) FROM {tables}.streams
            WHERE streams.room = one.room AND streams.audience = one.audience;
        PERFORM pg_notify('{channel}', '');
    END LOOP;
    RETURN NULL;
END $$
"""


def _comment(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"COMMENT ON FUNCTION interact.post(bigint, text, text, jsonb, text, uuid) IS '{quoted}'"


def _functions(tables: str, limits: PostLimits) -> list[str]:
    values = {
        "tables": tables,
        "type_length": limits.type,
        "user_length": USER_LENGTH,
        "own_types": ", ".join(f"'{each}'" for each in sorted(OWN_TYPES)),
        "body": limits.body,
        "nested": limits.nesting,
        "participants": PARTICIPANTS,
        "messages": limits.quota.messages,
        "bytes": limits.quota.bytes,
        "channel": CHANNEL,
        "key": f"^{KEY.pattern}$",
        "key_length": KEY_LENGTH,
        "kept": limits.kept,
        "kept_of_room": limits.kept_of_room,
        "kept_of_user": limits.kept_of_user,
        "kept_bytes_of_user": limits.kept_bytes_of_user,
        "kept_bytes_of_users": limits.kept_bytes_of_users,
        "settings": SETTINGS,
        "hides": HIDES,
        "muted": MUTED,
    }
    functions = (_DEPTH, _IS_OPEN, _TAKE, _POST, _KEEP_FUNCTION, _STORE)
    return [each.format(**values) for each in functions]
