-- A profile holds one of the user's slots, 1 to what the tier allows: the key is the limit.
CREATE TABLE account_profile (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    slot BIGINT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    avatar TEXT,
    is_kids BOOLEAN NOT NULL,
    rating_max TEXT,
    language TEXT,
    pin_hash TEXT,
    preferences TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, slot),
    FOREIGN KEY (tenant_id, user_id) REFERENCES account_user (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX account_profile_id ON account_profile (tenant_id, id);

-- Where a profile is in a title. (playback_id, client_seq) only rises: a late heartbeat is older.
CREATE TABLE account_progress (
    tenant_id TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    content_id TEXT NOT NULL,
    playback_id TEXT NOT NULL,
    client_seq BIGINT NOT NULL,
    position_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    is_completed BOOLEAN NOT NULL,
    completed_at_ms BIGINT,
    started_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, content_id),
    FOREIGN KEY (tenant_id, profile_id) REFERENCES account_profile (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX account_progress_recent
    ON account_progress (tenant_id, profile_id, updated_at_ms, content_id);

CREATE TABLE account_watchlist (
    tenant_id TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    content_id TEXT NOT NULL,
    added_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, content_id),
    FOREIGN KEY (tenant_id, profile_id) REFERENCES account_profile (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX account_watchlist_recent
    ON account_watchlist (tenant_id, profile_id, added_at_ms, content_id);

-- moderation: none (no review), pending, approved, rejected.
CREATE TABLE account_rating (
    tenant_id TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    content_id TEXT NOT NULL,
    stars BIGINT NOT NULL,
    review TEXT,
    moderation TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, content_id),
    FOREIGN KEY (tenant_id, profile_id) REFERENCES account_profile (tenant_id, id) ON DELETE CASCADE,
    CHECK (stars BETWEEN 1 AND 5),
    CHECK (moderation IN ('none', 'pending', 'approved', 'rejected'))
);
CREATE INDEX account_rating_recent
    ON account_rating (tenant_id, profile_id, updated_at_ms, content_id);
CREATE INDEX account_rating_content
    ON account_rating (tenant_id, content_id, moderation, updated_at_ms, profile_id);
