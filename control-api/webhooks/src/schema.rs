//! Tables of webhooks.

use platform::db::{Migration, Schema};

use crate::{delivery, endpoint, fan_out};

/// Never: no delivery waits.
pub(crate) const NEVER_MS: i64 = i64::MAX;

/// | table | what |
/// | --- | --- |
/// | `webhook_endpoint` | where to, of what; who serves it now, and when it is due |
/// | `webhook_delivery` | one event for one endpoint; its body goes when it was erased |
/// | `webhook_attempt` | each try, with its answer |
///
/// `webhook_endpoint.wake` counts what was added: whoever puts the endpoint to sleep says which count
/// it has seen, so that nothing that was added meanwhile sleeps, too.
pub const SCHEMA: Schema = Schema {
    name: "webhooks",
    migrations: &[Migration {
        version: 1,
        name: "endpoints and deliveries",
        sql: "CREATE TABLE webhook_endpoint (
                tenant_id TEXT NOT NULL,
                id TEXT NOT NULL,
                url TEXT NOT NULL,
                description TEXT NOT NULL,
                topics TEXT NOT NULL,
                state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled', 'failing')),
                secret BYTEA NOT NULL,
                old_secret BYTEA,
                old_secret_until_ms BIGINT NOT NULL,
                version BIGINT NOT NULL,
                created_ms BIGINT NOT NULL,
                failures BIGINT NOT NULL,
                failing_since_ms BIGINT,
                due_ms BIGINT NOT NULL,
                wake BIGINT NOT NULL,
                lease_owner TEXT,
                lease_until_ms BIGINT NOT NULL,
                PRIMARY KEY (tenant_id, id)
            );
            CREATE INDEX webhook_endpoint_due ON webhook_endpoint (state, due_ms);
            CREATE TABLE webhook_delivery (
                tenant_id TEXT NOT NULL,
                endpoint_id TEXT NOT NULL,
                event_id TEXT NOT NULL,
                sequence BIGINT NOT NULL,
                topic TEXT NOT NULL,
                subject TEXT NOT NULL,
                body TEXT,
                state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
                created_ms BIGINT NOT NULL,
                due_ms BIGINT NOT NULL,
                failures BIGINT NOT NULL,
                attempts BIGINT NOT NULL,
                last_status BIGINT,
                last_outcome TEXT,
                finished_ms BIGINT,
                PRIMARY KEY (tenant_id, endpoint_id, event_id),
                FOREIGN KEY (tenant_id, endpoint_id)
                    REFERENCES webhook_endpoint (tenant_id, id) ON DELETE CASCADE
            );
            CREATE INDEX webhook_delivery_due
                ON webhook_delivery (tenant_id, endpoint_id, state, due_ms, sequence);
            CREATE INDEX webhook_delivery_list
                ON webhook_delivery (tenant_id, endpoint_id, sequence, event_id);
            CREATE INDEX webhook_delivery_subject ON webhook_delivery (tenant_id, subject);
            CREATE INDEX webhook_delivery_age ON webhook_delivery (state, finished_ms);
            CREATE TABLE webhook_attempt (
                tenant_id TEXT NOT NULL,
                endpoint_id TEXT NOT NULL,
                event_id TEXT NOT NULL,
                number BIGINT NOT NULL,
                at_ms BIGINT NOT NULL,
                duration_ms BIGINT NOT NULL,
                status BIGINT,
                outcome TEXT NOT NULL,
                answer TEXT NOT NULL,
                PRIMARY KEY (tenant_id, endpoint_id, event_id, number),
                FOREIGN KEY (tenant_id, endpoint_id, event_id)
                    REFERENCES webhook_delivery (tenant_id, endpoint_id, event_id) ON DELETE CASCADE
            );",
    }],
    statements: &[endpoint::STATEMENTS, delivery::STATEMENTS, fan_out::STATEMENTS],
};
