-- Work on one person's data. active_key is user and kind while the job is open, else its id:
-- one open job of a kind for each person. No foreign key: the record outlives the person.
CREATE TABLE account_job (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    active_key TEXT NOT NULL,
    state TEXT NOT NULL,
    step BIGINT NOT NULL,
    cursor TEXT,
    attempts BIGINT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    error TEXT,
    requested_at_ms BIGINT NOT NULL,
    finished_at_ms BIGINT,
    PRIMARY KEY (tenant_id, id),
    CHECK (kind IN ('erase', 'export')),
    CHECK (state IN ('open', 'done', 'failed'))
);
CREATE UNIQUE INDEX account_job_active ON account_job (tenant_id, active_key);
CREATE INDEX account_job_user ON account_job (tenant_id, user_id, requested_at_ms);
CREATE INDEX account_job_due ON account_job (state, due_at_ms);

CREATE TABLE account_export_part (
    tenant_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    part BIGINT NOT NULL,
    provider TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (tenant_id, job_id, step, part),
    FOREIGN KEY (tenant_id, job_id) REFERENCES account_job (tenant_id, id) ON DELETE CASCADE
);
