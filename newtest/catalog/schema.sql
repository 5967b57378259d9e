-- The catalog of a study, version 1. One section a stage, in the order of the work.
-- Dates are ISO 8601 in UTC. JSON columns hold canonical JSON (sorted keys). Nothing here is ever rewritten by a
-- later stage: stages insert facts, and a fact that stops holding gets a row that says so.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Classes ------------------------------------------------------------------------------------------------------

CREATE TABLE classes (
    wnid      TEXT PRIMARY KEY,
    lemmas    TEXT NOT NULL,               -- JSON list
    gloss     TEXT NOT NULL,
    hypernyms TEXT NOT NULL,               -- JSON list, nearest first
    origin    TEXT NOT NULL                -- 'wordnet-3.0' or the file it came from
) STRICT, WITHOUT ROWID;

-- Images and candidates ------------------------------------------------------------------------------------------

CREATE TABLE images (
    image_id    TEXT PRIMARY KEY,
    source      TEXT NOT NULL,             -- 'flickr', 'openverse', 'folder', 'table', 'reference:NAME', ...
    source_id   TEXT NOT NULL,
    url         TEXT,
    page_url    TEXT,
    title       TEXT,
    license     TEXT,
    owner       TEXT,
    taken_on    TEXT,
    uploaded_on TEXT,
    width       INTEGER,                   -- as the source says; files.width is what the bytes say
    height      INTEGER,
    sizes       TEXT NOT NULL DEFAULT '{}',
    extra       TEXT NOT NULL DEFAULT '{}',
    UNIQUE (source, source_id)
) STRICT, WITHOUT ROWID;

-- One row a (class, source, query text, window): how far the search got. The cursor is the source's own.
CREATE TABLE searches (
    search_id TEXT PRIMARY KEY,            -- fingerprint of (source, query)
    wnid      TEXT NOT NULL REFERENCES classes (wnid),
    source    TEXT NOT NULL,
    text      TEXT NOT NULL,
    query     TEXT NOT NULL,               -- JSON of the Query
    state     TEXT NOT NULL CHECK (state IN ('open', 'done', 'failed')),
    cursor    TEXT,                        -- where the next page starts; NULL before the first
    error     TEXT
) STRICT, WITHOUT ROWID;

-- What each search returned, in the source's order: the record of how a candidate was found.
CREATE TABLE search_results (
    search_id TEXT NOT NULL REFERENCES searches (search_id),
    rank      INTEGER NOT NULL,
    image_id  TEXT NOT NULL REFERENCES images (image_id),
    PRIMARY KEY (search_id, rank)
) STRICT, WITHOUT ROWID;
CREATE INDEX search_results_image ON search_results (image_id);

CREATE TABLE candidates (
    image_id TEXT NOT NULL REFERENCES images (image_id),
    wnid     TEXT NOT NULL REFERENCES classes (wnid),
    PRIMARY KEY (image_id, wnid)
) STRICT, WITHOUT ROWID;
CREATE INDEX candidates_wnid ON candidates (wnid);

-- The downloader's outcome for an image: bytes, or the reason why there are none (yet).
CREATE TABLE files (
    image_id   TEXT PRIMARY KEY REFERENCES images (image_id),
    state      TEXT NOT NULL CHECK (state IN ('ok', 'failed', 'gone')),  -- 'gone': will never be tried again
    sha256     TEXT,
    num_bytes  INTEGER,
    format     TEXT,                       -- Pillow's name: 'JPEG', 'PNG', ...
    width      INTEGER,                    -- as shown, EXIF orientation applied
    height     INTEGER,
    kind       TEXT,                       -- short word for counting failures
    reason     TEXT,                       -- the sentence
    attempts   INTEGER NOT NULL,
    fetched_at TEXT NOT NULL,
    CHECK ((state = 'ok') = (sha256 IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX files_sha256 ON files (sha256);

-- Reference sets: the originals ------------------------------------------------------------------------------------

CREATE TABLE references_ (
    name        TEXT PRIMARY KEY,
    origin      TEXT NOT NULL,             -- folder or table it was read from
    fingerprint TEXT NOT NULL,             -- of its members
    added_at    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE reference_members (
    reference TEXT NOT NULL REFERENCES references_ (name),
    image_id  TEXT NOT NULL REFERENCES images (image_id),
    wnid      TEXT NOT NULL,
    PRIMARY KEY (reference, image_id, wnid)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_members_image ON reference_members (image_id);

-- Votes ------------------------------------------------------------------------------------------------------------

-- A batch is one import or one simulation; importing the same bytes again adds nothing.
CREATE TABLE vote_batches (
    batch_id    TEXT PRIMARY KEY,          -- fingerprint of content and options
    origin      TEXT NOT NULL CHECK (origin IN ('imported', 'simulated', 'local', 'mturk')),
    description TEXT NOT NULL,
    added_at    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE votes (
    image_id     TEXT NOT NULL REFERENCES images (image_id),
    wnid         TEXT NOT NULL,
    worker       TEXT NOT NULL,            -- keyed hash, see study.worker_key
    selected     INTEGER NOT NULL CHECK (selected IN (0, 1)),
    hit_id       TEXT,
    submitted_at TEXT,
    control      TEXT CHECK (control IN ('positive', 'negative')),
    batch_id     TEXT NOT NULL REFERENCES vote_batches (batch_id),
    PRIMARY KEY (image_id, wnid, worker)   -- the same worker never counts twice
) STRICT, WITHOUT ROWID;
CREATE INDEX votes_worker ON votes (worker);

-- Counts from elsewhere, where single votes were not kept.
CREATE TABLE vote_counts (
    image_id     TEXT NOT NULL REFERENCES images (image_id),
    wnid         TEXT NOT NULL,
    num_selected INTEGER NOT NULL CHECK (num_selected BETWEEN 0 AND num_shown),
    num_shown    INTEGER NOT NULL CHECK (num_shown > 0),
    batch_id     TEXT NOT NULL REFERENCES vote_batches (batch_id),
    PRIMARY KEY (image_id, wnid, batch_id)
) STRICT, WITHOUT ROWID;

-- Workers whose votes are left out of quality-filtered counts. Their votes stay.
CREATE TABLE excluded_workers (
    worker      TEXT PRIMARY KEY,
    reason      TEXT NOT NULL,
    excluded_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Near-duplicates --------------------------------------------------------------------------------------------------

CREATE TABLE hashes (
    sha256 TEXT NOT NULL,
    kind   TEXT NOT NULL,                  -- name and version of the hash, e.g. 'phash-1'
    value  BLOB NOT NULL,
    PRIMARY KEY (sha256, kind)
) STRICT, WITHOUT ROWID;

-- Pairs that are close (by a distance; smaller is closer), image_a < image_b.
CREATE TABLE neighbours (
    image_a  TEXT NOT NULL REFERENCES images (image_id),
    image_b  TEXT NOT NULL REFERENCES images (image_id),
    metric   TEXT NOT NULL,
    distance REAL NOT NULL,
    PRIMARY KEY (image_a, image_b, metric),
    CHECK (image_a < image_b)
) STRICT, WITHOUT ROWID;
CREATE INDEX neighbours_b ON neighbours (image_b);

-- Which images were compared, by which metric, to which distance: what makes "no neighbour" a fact.
CREATE TABLE compared (
    image_id TEXT NOT NULL REFERENCES images (image_id),
    metric   TEXT NOT NULL,
    scope    TEXT NOT NULL,                -- fingerprint of the set it was compared with
    radius   REAL NOT NULL,
    PRIMARY KEY (image_id, metric, scope)
) STRICT, WITHOUT ROWID;

-- Verdicts on pairs. The latest row of a pair counts; nothing is rewritten.
CREATE TABLE verdicts (
    verdict_id INTEGER PRIMARY KEY,
    image_a    TEXT NOT NULL REFERENCES images (image_id),
    image_b    TEXT NOT NULL REFERENCES images (image_id),
    duplicate  INTEGER NOT NULL CHECK (duplicate IN (0, 1)),
    reviewer   TEXT NOT NULL,              -- a person's name, or 'automatic:RULE'
    given_at   TEXT NOT NULL,
    CHECK (image_a < image_b)
) STRICT;
CREATE INDEX verdicts_pair ON verdicts (image_a, image_b);

-- Review -----------------------------------------------------------------------------------------------------------

-- Blocking and unblocking an image (for one class, or for all when wnid is NULL). The latest row counts.
CREATE TABLE blocks (
    block_id INTEGER PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES images (image_id),
    wnid     TEXT,
    blocked  INTEGER NOT NULL CHECK (blocked IN (0, 1)),
    reason   TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    given_at TEXT NOT NULL
) STRICT;
CREATE INDEX blocks_image ON blocks (image_id);

-- Revisions --------------------------------------------------------------------------------------------------------

CREATE TABLE revisions (
    name         TEXT PRIMARY KEY,
    config       TEXT NOT NULL,            -- JSON of SamplingConfig, seed included
    reference    TEXT,
    parent       TEXT REFERENCES revisions (name),
    votes_hash   TEXT NOT NULL,
    pool_hash    TEXT NOT NULL,
    members_hash TEXT NOT NULL,
    simulated    INTEGER NOT NULL CHECK (simulated IN (0, 1)),  -- drawn from simulated votes
    incomplete   INTEGER NOT NULL CHECK (incomplete IN (0, 1)),
    summary      TEXT NOT NULL,            -- JSON: target and drawn histograms, feasibility, diagnostics
    created_at   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revision_members (
    revision     TEXT NOT NULL REFERENCES revisions (name),
    image_id     TEXT NOT NULL REFERENCES images (image_id),
    wnid         TEXT NOT NULL,
    num_selected INTEGER NOT NULL,
    num_shown    INTEGER NOT NULL,
    PRIMARY KEY (revision, image_id, wnid)
) STRICT, WITHOUT ROWID;

CREATE TABLE revision_exclusions (
    revision TEXT NOT NULL REFERENCES revisions (name),
    image_id TEXT NOT NULL REFERENCES images (image_id),
    wnid     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    PRIMARY KEY (revision, image_id, wnid)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    path       TEXT NOT NULL,
    revision   TEXT NOT NULL REFERENCES revisions (name),
    sums_hash  TEXT NOT NULL,              -- sha256 of SHA256SUMS
    created_at TEXT NOT NULL,
    PRIMARY KEY (path, revision)
) STRICT, WITHOUT ROWID;
