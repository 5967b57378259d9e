-- The catalog of a study, in its newest layout. One section per stage, in the order of the work.
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
    state     TEXT NOT NULL CHECK (state IN ('open', 'enough', 'done', 'failed')),  -- 'enough': more could be had
    cursor    TEXT,                        -- where the next page starts; NULL before the first
    rejected  INTEGER NOT NULL DEFAULT 0,  -- entries that could not be read as an image
    error     TEXT
) STRICT, WITHOUT ROWID;

-- What each search returned, in the source's order: the record of how a candidate was found. A result beyond the
-- class's quota is kept as a description alone, until a larger quota takes it.
CREATE TABLE search_results (
    search_id   TEXT NOT NULL REFERENCES searches (search_id),
    rank        INTEGER NOT NULL,
    image_id    TEXT NOT NULL,
    description TEXT,                      -- JSON of the Image; NULL once it is a row of images
    PRIMARY KEY (search_id, rank),
    UNIQUE (search_id, image_id),
    CHECK (rank >= 0)
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

-- Bytes that somebody asked to be removed: under another id they do not come in again.
CREATE TABLE refused_bytes (
    sha256   TEXT PRIMARY KEY,
    reason   TEXT NOT NULL,
    given_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

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
CREATE INDEX reference_members_wnid ON reference_members (wnid);

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

-- Crowd: what is asked, and what came back --------------------------------------------------------------------------

-- Where a class is described for people who do not know it.
CREATE TABLE class_pages (
    wnid TEXT PRIMARY KEY REFERENCES classes (wnid),
    url  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A planned HIT: which images of one class are shown together. Published to a market by a row in publications.
CREATE TABLE hits (
    hit_id      TEXT PRIMARY KEY,          -- fingerprint of seed, class, images and number of assignments
    wnid        TEXT NOT NULL REFERENCES classes (wnid),
    assignments INTEGER NOT NULL CHECK (assignments > 0),
    plan        TEXT NOT NULL,             -- JSON of PlanConfig
    planned_at  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hits_wnid ON hits (wnid);

CREATE TABLE hit_images (
    hit_id   TEXT NOT NULL REFERENCES hits (hit_id),
    position INTEGER NOT NULL CHECK (position > 0),  -- the number that the page shows; examples come last
    image_id TEXT NOT NULL REFERENCES images (image_id),
    role     TEXT NOT NULL CHECK (role IN ('candidate', 'filler', 'positive', 'negative', 'attention', 'pair',
        'example')),
    PRIMARY KEY (hit_id, position),
    UNIQUE (hit_id, image_id)              -- no image twice in a HIT
) STRICT, WITHOUT ROWID;
CREATE INDEX hit_images_image ON hit_images (image_id);

-- What a HIT asks, where that is not which images show the class.
CREATE TABLE hit_questions (
    hit_id TEXT PRIMARY KEY REFERENCES hits (hit_id),
    kind   TEXT NOT NULL CHECK (kind IN ('which', 'pairs'))
) STRICT, WITHOUT ROWID;

-- The classes that each image of a HIT may show ('which'), in the order of the page.
CREATE TABLE hit_options (
    hit_id   TEXT NOT NULL REFERENCES hits (hit_id),
    position INTEGER NOT NULL CHECK (position > 0),
    wnid     TEXT NOT NULL REFERENCES classes (wnid),
    PRIMARY KEY (hit_id, position),
    UNIQUE (hit_id, wnid)
) STRICT, WITHOUT ROWID;

-- The pairs of a HIT ('pairs'); their images are in hit_images with the role 'pair'.
CREATE TABLE hit_pairs (
    hit_id   TEXT NOT NULL REFERENCES hits (hit_id),
    position INTEGER NOT NULL CHECK (position > 0),
    image_a  TEXT NOT NULL REFERENCES images (image_id),
    image_b  TEXT NOT NULL REFERENCES images (image_id),
    control  TEXT CHECK (control IN ('same', 'different')),  -- a pair that is judged already
    PRIMARY KEY (hit_id, position),
    CHECK (image_a < image_b)
) STRICT, WITHOUT ROWID;
CREATE INDEX hit_pairs_images ON hit_pairs (image_a, image_b);

-- Other classes that an image of a set may show, as they were proposed. They are asked about in the usual HITs of that
-- class, and answered by votes on (image_id, wnid) like those on candidates, which these pairs are not.
CREATE TABLE second_labels (
    image_id    TEXT NOT NULL REFERENCES images (image_id),
    wnid        TEXT NOT NULL REFERENCES classes (wnid),
    source      TEXT NOT NULL,             -- 'predictions', 'near' or 'table'
    proposed_at TEXT NOT NULL,
    PRIMARY KEY (image_id, wnid, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX second_labels_wnid ON second_labels (wnid);

-- The intent to publish is written before the market is called, the market's id after it.
CREATE TABLE publications (
    hit_id        TEXT NOT NULL REFERENCES hits (hit_id),
    market        TEXT NOT NULL,           -- 'local', 'live', 'sandbox', or the endpoint's URL
    request_token TEXT NOT NULL UNIQUE,
    settings      TEXT NOT NULL,           -- JSON of PublishConfig: reward, durations, title
    market_hit_id TEXT UNIQUE,
    intended_at   TEXT NOT NULL,
    published_at  TEXT,
    closed_at     TEXT,                    -- nobody can work on it any more and all its answers are collected
    PRIMARY KEY (hit_id, market),
    CHECK ((market_hit_id IS NULL) = (published_at IS NULL))
) STRICT, WITHOUT ROWID;

-- Assignments as collected from a market, and their answers per image. Votes are made of them.
CREATE TABLE assignments (
    assignment_id TEXT PRIMARY KEY,
    hit_id        TEXT NOT NULL REFERENCES hits (hit_id),
    market        TEXT NOT NULL,
    worker        TEXT NOT NULL,           -- keyed hash, see study.worker_key
    status        TEXT NOT NULL CHECK (status IN ('submitted', 'approved', 'rejected')),
    accepted_at   TEXT,
    submitted_at  TEXT,
    explicit      INTEGER NOT NULL CHECK (explicit IN (0, 1)),  -- something was ticked, if only "none of these"
    collected_at  TEXT NOT NULL,
    UNIQUE (hit_id, market, worker)        -- who tried it in the sandbox may do it on the market
) STRICT, WITHOUT ROWID;
CREATE INDEX assignments_worker ON assignments (worker);

CREATE TABLE answers (
    assignment_id TEXT NOT NULL REFERENCES assignments (assignment_id),
    image_id      TEXT NOT NULL REFERENCES images (image_id),
    value         TEXT NOT NULL CHECK (value IN ('yes', 'no', 'unseen')),
    milliseconds  INTEGER,                 -- how long the image was in view
    PRIMARY KEY (assignment_id, image_id)
) STRICT, WITHOUT ROWID;

-- The classes that somebody chose for an image, of those that were offered. Votes are made of them.
CREATE TABLE choices (
    assignment_id TEXT NOT NULL REFERENCES assignments (assignment_id),
    image_id      TEXT NOT NULL REFERENCES images (image_id),
    wnid          TEXT NOT NULL,
    PRIMARY KEY (assignment_id, image_id, wnid)
) STRICT, WITHOUT ROWID;

-- What somebody said of a pair: its position in the HIT, one photo or not.
CREATE TABLE pair_answers (
    assignment_id TEXT NOT NULL REFERENCES assignments (assignment_id),
    position      INTEGER NOT NULL,
    value         TEXT NOT NULL CHECK (value IN ('yes', 'no', 'unseen')),
    milliseconds  INTEGER,
    PRIMARY KEY (assignment_id, position)
) STRICT, WITHOUT ROWID;

-- Crowd server: our own market. Its times are seconds since 1970 on the server's clock --------------------------------

CREATE TABLE market_templates (
    template_id TEXT PRIMARY KEY,          -- sha256 of the text
    text        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE market_hit_types (
    hit_type_id   TEXT PRIMARY KEY,        -- of all the fields below: the same description is the same type
    title         TEXT NOT NULL,
    description   TEXT NOT NULL,
    keywords      TEXT NOT NULL,
    reward        TEXT NOT NULL,           -- dollars, as a decimal string
    duration      INTEGER NOT NULL CHECK (duration > 0),        -- seconds that a lease lasts
    auto_approval INTEGER NOT NULL CHECK (auto_approval >= 0)   -- seconds
) STRICT, WITHOUT ROWID;

CREATE TABLE market_hits (
    market_hit_id   TEXT PRIMARY KEY,
    hit_type_id     TEXT NOT NULL REFERENCES market_hit_types (hit_type_id),
    hit_id          TEXT UNIQUE REFERENCES hits (hit_id),       -- one of our plan, shown through a template
    template_id     TEXT REFERENCES market_templates (template_id),
    question        TEXT,                                       -- or a requester's own page
    annotation      TEXT,
    max_assignments INTEGER NOT NULL CHECK (max_assignments > 0),
    taken           INTEGER NOT NULL DEFAULT 0,                 -- leased or done; kept by the triggers below
    created_at      REAL NOT NULL,
    expires_at      REAL NOT NULL,
    deleted         INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    CHECK (taken BETWEEN 0 AND max_assignments),                -- never more than its assignments
    CHECK ((hit_id IS NULL) = (template_id IS NULL)),
    CHECK ((hit_id IS NULL) <> (question IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX market_hits_open ON market_hits (expires_at) WHERE taken < max_assignments AND deleted = 0;

-- UniqueRequestToken: for 24 hours the same token is the same request.
CREATE TABLE market_requests (
    request_token TEXT PRIMARY KEY,
    market_hit_id TEXT NOT NULL REFERENCES market_hits (market_hit_id),
    made_at       REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Signed calls of the last day: no signature is taken twice, not even after a restart or with a clock that was put back.
-- What creates something keeps its answer: a call that is repeated (its answer was lost) creates nothing again.
CREATE TABLE market_calls (
    call_id TEXT PRIMARY KEY,              -- the signature, or the client's own id of a call and its retries
    made_at REAL NOT NULL,
    answer  TEXT                           -- JSON; NULL where nothing was created
) STRICT, WITHOUT ROWID;

CREATE TABLE market_assignments (
    assignment_id   TEXT PRIMARY KEY,
    market_hit_id   TEXT NOT NULL REFERENCES market_hits (market_hit_id),
    worker          TEXT NOT NULL,
    state           TEXT NOT NULL
                    CHECK (state IN ('leased', 'submitted', 'approved', 'rejected', 'returned', 'lapsed')),
    accepted_at     REAL NOT NULL,
    lease_ends      REAL NOT NULL,
    submitted_at    REAL,
    auto_approve_at REAL,
    decided_at      REAL,
    feedback        TEXT,
    answer          TEXT,                  -- QuestionFormAnswers XML
    CHECK ((state IN ('submitted', 'approved', 'rejected')) = (answer IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX market_assignments_hit ON market_assignments (market_hit_id, state);
CREATE INDEX market_assignments_leases ON market_assignments (lease_ends) WHERE state = 'leased';
CREATE INDEX market_assignments_waiting ON market_assignments (auto_approve_at) WHERE state = 'submitted';
-- One answer per worker and HIT: a second lease, or a double submit, has no row to go to.
CREATE UNIQUE INDEX market_assignments_once ON market_assignments (worker, market_hit_id)
    WHERE state IN ('leased', 'submitted', 'approved', 'rejected');

CREATE TRIGGER market_assignment_begins AFTER INSERT ON market_assignments
WHEN NEW.state NOT IN ('returned', 'lapsed')
BEGIN
    UPDATE market_hits SET taken = taken + 1 WHERE market_hit_id = NEW.market_hit_id;
END;

CREATE TRIGGER market_assignment_changes AFTER UPDATE OF state ON market_assignments
WHEN (OLD.state IN ('returned', 'lapsed')) <> (NEW.state IN ('returned', 'lapsed'))
BEGIN
    UPDATE market_hits SET taken = taken + iif(NEW.state IN ('returned', 'lapsed'), -1, 1)
    WHERE market_hit_id = NEW.market_hit_id;
END;

-- What a worker was shown: no worker sees the same image of a class in two HITs.
CREATE TABLE market_shown (
    worker   TEXT NOT NULL,
    image_id TEXT NOT NULL,
    wnid     TEXT NOT NULL,
    hit_id   TEXT NOT NULL REFERENCES hits (hit_id),
    PRIMARY KEY (worker, image_id, wnid)
) STRICT, WITHOUT ROWID;

-- Personal links. Only the id is kept: the link's token is that id, signed under the study's key.
CREATE TABLE worker_links (
    link_id    TEXT PRIMARY KEY,
    worker     TEXT NOT NULL,              -- keyed hash
    label      TEXT NOT NULL,              -- the owner's own name for the person; empty for a recruiting site's
    origin     TEXT NOT NULL CHECK (origin IN ('invited', 'recruited')),
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX worker_links_active ON worker_links (worker) WHERE revoked_at IS NULL;

-- Texts that people agreed to before they worked, and who agreed to which. The votes name the version.
CREATE TABLE consents (
    version        TEXT PRIMARY KEY,       -- 12 hex digits of the text's sha256
    text           TEXT NOT NULL,
    first_given_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE consents_given (
    worker   TEXT NOT NULL,                -- keyed hash
    version  TEXT NOT NULL REFERENCES consents (version),
    given_at TEXT NOT NULL,
    PRIMARY KEY (worker, version)
) STRICT, WITHOUT ROWID;

-- Who has done which training, and how much of it was right.
CREATE TABLE trainings (
    worker  TEXT NOT NULL,                 -- keyed hash
    version TEXT NOT NULL,                 -- 12 hex digits of the training's fingerprint
    num_right INTEGER NOT NULL CHECK (num_right BETWEEN 0 AND num_asked),
    num_asked INTEGER NOT NULL,
    done_at REAL NOT NULL,
    PRIMARY KEY (worker, version)
) STRICT, WITHOUT ROWID;

-- Near-duplicates --------------------------------------------------------------------------------------------------

-- An empty value says that the picture is flat: nothing can be told from its hash.
CREATE TABLE hashes (
    sha256 TEXT NOT NULL,
    kind   TEXT NOT NULL,                  -- name and version of the hash, e.g. 'dct144-3'
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

-- Which images were compared, by which metric, with every member of which set, to which distance: what makes
-- "no neighbour" a fact. Images that join a set later are compared with it when they come.
CREATE TABLE compared (
    image_id TEXT NOT NULL REFERENCES images (image_id),
    metric   TEXT NOT NULL,
    scope    TEXT NOT NULL,                -- 'pool', or 'reference:NAME'
    radius   REAL NOT NULL,
    PRIMARY KEY (image_id, metric, scope)
) STRICT, WITHOUT ROWID;

-- What the study looks for close pairs by: every run of dedup goes on with all of it. The latest row of a name counts.
CREATE TABLE pair_searches (
    search_id INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,               -- 'hash', 'l2', 'dssim', or the name of a model: 'timm:NAME@FILE'
    metric    TEXT NOT NULL,               -- what its pairs are measured in; of a model it says the weights too
    settings  TEXT NOT NULL,               -- JSON: the limits
    dropped   INTEGER NOT NULL CHECK (dropped IN (0, 1)),
    chosen_at TEXT NOT NULL
) STRICT;

-- Verdicts on pairs. The latest row of a pair counts; nothing is rewritten.
CREATE TABLE verdicts (
    verdict_id INTEGER PRIMARY KEY,
    image_a    TEXT NOT NULL REFERENCES images (image_id),
    image_b    TEXT NOT NULL REFERENCES images (image_id),
    duplicate  INTEGER CHECK (duplicate IN (0, 1)),  -- NULL: withdrawn, nobody has judged the pair again
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

-- Somebody has looked over these members of a class: it is looked over again only when they change.
CREATE TABLE class_reviews (
    review_id    INTEGER PRIMARY KEY,
    wnid         TEXT NOT NULL,
    members_hash TEXT NOT NULL,            -- fingerprint of the sorted image ids
    reviewer     TEXT NOT NULL,
    given_at     TEXT NOT NULL
) STRICT;
CREATE INDEX class_reviews_wnid ON class_reviews (wnid);

-- Revisions --------------------------------------------------------------------------------------------------------

-- Not WITHOUT ROWID: each row that refers to a revision looks its name up, and in such a table SQLite would read the
-- whole row each time, megabytes of summary.
CREATE TABLE revisions (
    name         TEXT PRIMARY KEY NOT NULL,
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
) STRICT;

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
    reason   TEXT NOT NULL,               -- the first that holds, in the order of newtest.sampling.eligibility
    all_reasons TEXT NOT NULL,             -- all that hold, with commas between
    PRIMARY KEY (revision, image_id, wnid)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    path       TEXT NOT NULL,
    revision   TEXT NOT NULL REFERENCES revisions (name),
    sums_hash  TEXT NOT NULL,              -- sha256 of SHA256SUMS
    created_at TEXT NOT NULL,
    PRIMARY KEY (path, revision)
) STRICT, WITHOUT ROWID;
