CREATE TABLE account_tenant (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);

-- state: pending (address not confirmed), active, suspended, deleting.
CREATE TABLE account_user (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    email_norm TEXT NOT NULL,
    state TEXT NOT NULL,
    country TEXT,
    locale TEXT,
    auth_epoch BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    verified_at_ms BIGINT,
    deleted_at_ms BIGINT,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (state IN ('pending', 'active', 'suspended', 'deleting'))
);
CREATE UNIQUE INDEX account_user_email ON account_user (tenant_id, email_norm);

CREATE TABLE account_identity (
    tenant_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    sub TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, provider, sub),
    FOREIGN KEY (tenant_id, user_id) REFERENCES account_user (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX account_identity_user ON account_identity (tenant_id, user_id);

CREATE TABLE account_credential (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES account_user (tenant_id, id) ON DELETE CASCADE
);

-- Tokens that are good once. kind: verify, reset, email, mfa.
CREATE TABLE account_token (
    tenant_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    kind TEXT NOT NULL,
    user_id TEXT NOT NULL,
    data TEXT NOT NULL,
    code_hash TEXT,
    attempts BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES account_user (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX account_token_user ON account_token (tenant_id, user_id, kind);
CREATE INDEX account_token_expiry ON account_token (expires_at_ms);

-- A session holds one of the user's slots, 1 to what the tier allows: the key is the limit.
CREATE TABLE account_session (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    slot BIGINT NOT NULL,
    id TEXT NOT NULL,
    device_id TEXT,
    device_name TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL,
    auth_epoch BIGINT NOT NULL,
    authenticated_at_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    rotated_at_ms BIGINT NOT NULL,
    salt TEXT NOT NULL,
    profile_id TEXT,
    PRIMARY KEY (tenant_id, user_id, slot),
    FOREIGN KEY (tenant_id, user_id) REFERENCES account_user (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX account_session_id ON account_session (tenant_id, id);

CREATE TABLE account_refresh (
    tenant_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    session_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    issued_at_ms BIGINT NOT NULL,
    rotated_at_ms BIGINT,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, session_id) REFERENCES account_session (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX account_refresh_generation
    ON account_refresh (tenant_id, session_id, generation);

CREATE TABLE account_totp (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    secret BYTEA NOT NULL,
    confirmed_at_ms BIGINT,
    last_step BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES account_user (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE account_recovery_code (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES account_user (tenant_id, id) ON DELETE CASCADE
);

-- state: pending, approved, denied (RFC 8628).
CREATE TABLE account_device_code (
    tenant_id TEXT NOT NULL,
    user_code TEXT NOT NULL,
    device_hash TEXT NOT NULL,
    state TEXT NOT NULL,
    user_id TEXT,
    auth_epoch BIGINT,
    device_name TEXT NOT NULL,
    address TEXT NOT NULL,
    interval_seconds BIGINT NOT NULL,
    polled_at_ms BIGINT NOT NULL,
    is_too_fast BOOLEAN NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_code),
    CHECK (state IN ('pending', 'approved', 'denied'))
);
CREATE UNIQUE INDEX account_device_code_device ON account_device_code (tenant_id, device_hash);
CREATE INDEX account_device_code_expiry ON account_device_code (expires_at_ms);

-- Attempts in a window, by what is attempted and by whom.
CREATE TABLE account_throttle (
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    window_ends_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX account_throttle_window ON account_throttle (window_ends_ms);
