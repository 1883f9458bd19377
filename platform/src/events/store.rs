//! The statements of the relay.

use crate::db::statements;

statements! {
    /// PostgreSQL: committed, and without a number yet.
    system HAS_NEW: "SELECT 1 FROM event_outbox WHERE sequence IS NULL LIMIT 1";
    /// Locks the row: numbers are given by one transaction after the other.
    system LOCK_COUNTER: "INSERT INTO event_counter (name, value) VALUES ('sequence', 0)
        ON CONFLICT (name) DO UPDATE SET value = event_counter.value RETURNING value";
    /// Numbers that were given elsewhere, before the tables were copied here.
    system LAST_NUMBER: "SELECT COALESCE(MAX(number), 0) FROM (
            SELECT MAX(sequence) AS number FROM event_outbox
            UNION ALL SELECT MAX(cursor) AS number FROM event_consumer) AS numbers"
        scans "the consumers are few, and the other is the end of an index";
    system NUMBER_NEW: sqlite "UPDATE event_outbox SET sequence = $1 WHERE sequence IS NULL AND $2 < 0"
        postgres "UPDATE event_outbox SET sequence = CAST($1 AS BIGINT) + numbered.place
            FROM (SELECT position, ROW_NUMBER() OVER (ORDER BY position) AS place
                FROM (SELECT position FROM event_outbox WHERE sequence IS NULL
                    ORDER BY position LIMIT $2) AS fresh) AS numbered
            WHERE event_outbox.position = numbered.position";
    system SET_COUNTER: "UPDATE event_counter SET value = $1 WHERE name = 'sequence'";

    system TAKE_LEASE: "INSERT INTO event_lease (name, owner, expires_ms) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_ms = excluded.expires_ms
        WHERE event_lease.owner = excluded.owner OR event_lease.expires_ms <= $4
        RETURNING owner";
    system DROP_LEASE: "DELETE FROM event_lease WHERE name = $1 AND owner = $2";

    system ADD_CONSUMER: "INSERT INTO event_consumer (name, cursor) VALUES ($1, 0)
        ON CONFLICT (name) DO NOTHING";
    system CURSOR: "SELECT cursor FROM event_consumer WHERE name = $1";
    /// Not when somebody else has moved it, or has the lease.
    system MOVE_CURSOR: "UPDATE event_consumer SET cursor = $3 WHERE name = $1 AND cursor = $2
        AND EXISTS (SELECT 1 FROM event_lease WHERE name = $4 AND owner = $5)";
    system READ_NEW: "SELECT tenant_id, sequence, id, topic, schema_version, partition_key, subject,
            at_ms, data, traceparent
        FROM event_outbox WHERE $1 < sequence ORDER BY sequence LIMIT $2";

    IS_BLOCKED: "SELECT 1 FROM event_retry
        WHERE tenant_id = $1 AND consumer = $2 AND partition_key = $3 LIMIT 1";
    /// Once for each event and consumer, and only by who has the lease.
    TAKE: "INSERT INTO event_inbox (tenant_id, consumer, event_id, sequence)
        SELECT $1, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT)
        WHERE EXISTS (SELECT 1 FROM event_lease WHERE name = $5 AND owner = $6)
        ON CONFLICT (tenant_id, consumer, event_id) DO NOTHING";
    IS_TAKEN: "SELECT 1 FROM event_inbox
        WHERE tenant_id = $1 AND consumer = $2 AND event_id = $3";
    PUT_ASIDE: "INSERT INTO event_retry (tenant_id, consumer, event_id, sequence, partition_key,
            state, attempts, due_ms, last_error)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (tenant_id, consumer, event_id) DO NOTHING";

    /// The first event of each key that was put aside, when it is due.
    system DUE: "SELECT r.tenant_id, r.event_id, r.attempts FROM event_retry AS r
        WHERE r.consumer = $1 AND r.state <> 'dead' AND r.due_ms <= $2
        AND NOT EXISTS (SELECT 1 FROM event_retry AS b WHERE b.consumer = r.consumer
            AND b.tenant_id = r.tenant_id AND b.partition_key = r.partition_key
            AND b.sequence < r.sequence)
        ORDER BY r.tenant_id, r.partition_key, r.sequence LIMIT $3";
    FIND: "SELECT tenant_id, sequence, id, topic, schema_version, partition_key, subject, at_ms,
            data, traceparent
        FROM event_outbox WHERE tenant_id = $1 AND id = $2";
    DONE: "DELETE FROM event_retry WHERE tenant_id = $1 AND consumer = $2 AND event_id = $3";
    FAILED_AGAIN: "UPDATE event_retry SET attempts = $4, state = $5, due_ms = $6, last_error = $7
        WHERE tenant_id = $1 AND consumer = $2 AND event_id = $3";
}
