-- What a role grants, permission by permission: none stands for all.
CREATE TABLE account_role (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE account_role_permission (
    tenant_id TEXT NOT NULL,
    role TEXT NOT NULL,
    permission TEXT NOT NULL,
    PRIMARY KEY (tenant_id, role, permission),
    FOREIGN KEY (tenant_id, role) REFERENCES account_role (tenant_id, name) ON DELETE CASCADE
);

-- People who run the service. totp is sealed, and there once its first code was right.
CREATE TABLE account_staff (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    email_norm TEXT NOT NULL,
    hash TEXT NOT NULL,
    state TEXT NOT NULL,
    totp BYTEA,
    totp_last_step BIGINT NOT NULL,
    auth_epoch BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (state IN ('active', 'suspended'))
);
CREATE UNIQUE INDEX account_staff_email ON account_staff (tenant_id, email_norm);

CREATE TABLE account_staff_role (
    tenant_id TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (tenant_id, staff_id, role),
    FOREIGN KEY (tenant_id, staff_id) REFERENCES account_staff (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, role) REFERENCES account_role (tenant_id, name) ON DELETE CASCADE
);
CREATE INDEX account_staff_role_name ON account_staff_role (tenant_id, role);

CREATE TABLE account_staff_recovery (
    tenant_id TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant_id, staff_id, hash),
    FOREIGN KEY (tenant_id, staff_id) REFERENCES account_staff (tenant_id, id) ON DELETE CASCADE
);

-- A sign-in that owes a code. With totp, a secret that is to be enrolled by it.
CREATE TABLE account_staff_step (
    tenant_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    auth_epoch BIGINT NOT NULL,
    totp BYTEA,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, staff_id) REFERENCES account_staff (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX account_staff_step_staff ON account_staff_step (tenant_id, staff_id);
CREATE INDEX account_staff_step_expiry ON account_staff_step (expires_at_ms);

CREATE TABLE account_staff_session (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    auth_epoch BIGINT NOT NULL,
    authenticated_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    rotated_at_ms BIGINT NOT NULL,
    salt TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, staff_id) REFERENCES account_staff (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX account_staff_session_staff ON account_staff_session (tenant_id, staff_id);
CREATE INDEX account_staff_session_expiry ON account_staff_session (expires_at_ms);

CREATE TABLE account_staff_refresh (
    tenant_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    session_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, session_id)
        REFERENCES account_staff_session (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX account_staff_refresh_session ON account_staff_refresh (tenant_id, session_id);

-- The token that makes the first administrator.
CREATE TABLE account_setup (
    tenant_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);
