## Statements that must never run through the door for text from outside.
##
## Each case is a head line "CODE what it tries" marked as below, then the statement up to the
## next such line. CODE is the error's public word. Used by the unit test of
## the guard and, over HTTP, by the system tests.
#! sql_refused reads a file: CSV
SELECT * FROM read_csv('/etc/passwd', delim := ':', header := false)
#! sql_refused reads a file: CSV, automatic
SELECT * FROM read_csv_auto('/etc/passwd')
#! sql_refused reads a file: text
SELECT content FROM read_text('/etc/hostname')
#! sql_refused reads a file: blob
SELECT * FROM read_blob('/proc/self/environ')
#! sql_refused reads a file: Parquet
SELECT * FROM read_parquet('/etc/passwd')
#! sql_refused reads a file: Parquet by its other name
SELECT * FROM parquet_scan('x.parquet')
#! sql_refused reads a file: JSON
SELECT * FROM read_json('/etc/passwd')
#! sql_refused reads a file: JSON objects
SELECT * FROM read_json_objects_auto('/etc/passwd')
#! sql_refused reads a file: NDJSON
SELECT * FROM read_ndjson('/etc/passwd')
#! sql_refused reads a file: another database
SELECT * FROM read_duckdb('/etc/passwd')
#! sql_refused reads a file: one CSV
SELECT * FROM read_single_csv_file('/etc/passwd')
#! sql_refused reads a file: in another case
SELECT * FROM ReAd_CsV('/etc/passwd')
#! sql_refused reads a file: quoted function name
SELECT * FROM "read_csv"('/etc/passwd')
#! sql_refused reads a file: schema-qualified function
SELECT * FROM main.read_csv('/etc/passwd')
#! sql_refused reads a file: catalogue-qualified function
SELECT * FROM system.main.read_csv('/etc/passwd')
#! sql_refused reads a file: behind comments
SELECT * FROM /**/ read_csv /* */ ('/etc/passwd')
#! sql_refused reads a file: in a CTE
WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x
#! sql_refused reads a file: in a scalar subquery
SELECT (SELECT content FROM read_text('/etc/passwd'))
#! sql_refused reads a file: in EXISTS
SELECT 1 WHERE EXISTS (SELECT * FROM read_text('/etc/passwd'))
#! sql_refused reads a file: in IN
SELECT 1 WHERE 'x' IN (SELECT content FROM read_text('/etc/passwd'))
#! sql_refused reads a file: in a lateral join
SELECT * FROM candidates c, LATERAL (SELECT * FROM read_text('/etc/passwd')) t
#! sql_refused reads a file: in ORDER BY
SELECT 1 ORDER BY (SELECT count(*) FROM read_text('/etc/passwd'))
#! sql_refused reads a file: in LIMIT
SELECT 1 LIMIT (SELECT count(*) FROM read_text('/etc/passwd'))
#! sql_refused reads a file: in HAVING
SELECT status FROM candidates GROUP BY status HAVING (SELECT true FROM read_text('/etc/passwd'))
#! sql_refused reads a file: in QUALIFY
SELECT 1 FROM candidates QUALIFY row_number() OVER () = (SELECT count(*) FROM read_text('/etc/passwd'))
#! sql_refused reads a file: in FILTER
SELECT count(*) FILTER (WHERE (SELECT true FROM read_text('/etc/passwd'))) FROM candidates
#! sql_refused reads a file: in a window's PARTITION BY
SELECT sum(id) OVER (PARTITION BY (SELECT 1 FROM read_text('/etc/passwd'))) FROM candidates
#! sql_refused reads a file: in a join condition
SELECT 1 FROM candidates a JOIN clients b ON (SELECT true FROM read_text('/etc/passwd'))
#! sql_refused reads a file: in VALUES
VALUES ((SELECT content FROM read_text('/etc/passwd')))
#! sql_refused reads a file: in a set operation
SELECT 'a' UNION ALL SELECT content FROM read_text('/etc/passwd')
#! sql_refused reads a file: in a PIVOT source
PIVOT (SELECT * FROM read_text('/etc/passwd')) ON filename IN ('a') USING count(*)
#! sql_refused reads a file: in a lambda
SELECT list_transform([1], lambda x: (SELECT content FROM read_text('/etc/passwd')))
#! sql_refused reads a file: in CASE
SELECT CASE WHEN true THEN (SELECT content FROM read_text('/etc/passwd')) END
#! sql_refused reads a file: in an argument of a table function
SELECT * FROM range((SELECT count(*) FROM read_text('/etc/passwd')))
#! sql_refused reads a file: in a recursive CTE
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r, read_text('/etc/passwd') WHERE n < 2) SELECT * FROM r
#! sql_refused reads a file: in the moment of AT
SELECT * FROM candidates AT (TIMESTAMP => (SELECT content FROM read_text('/etc/passwd')))
#! sql_refused reads a file: in SUMMARIZE
SUMMARIZE SELECT * FROM read_text('/etc/passwd')
#! sql_refused reads a file: in DESCRIBE
DESCRIBE SELECT * FROM read_csv('/etc/passwd')
#! sql_refused names a file as a table
SELECT * FROM '/etc/passwd'
#! sql_refused names a file as a table: CSV
FROM 'data.csv'
#! sql_refused names a file as a table: double quotes
SELECT * FROM "/etc/passwd.csv"
#! sql_refused names a file as a table: pattern
SELECT * FROM '/**/*.parquet'
#! sql_refused names a file as a table: URL
SELECT * FROM 'https://example.com/x.parquet'
#! sql_refused names a file as a table: object store
SELECT * FROM 's3://bucket/x.parquet'
#! sql_refused names a file as a table: SUMMARIZE
SUMMARIZE 'data.csv'
#! sql_refused names a file as a table: DESCRIBE
DESCRIBE 'data.parquet'
#! sql_refused names a file as a table: TABLE
TABLE "data.csv"
#! sql_refused names a file as a table: from within a join
SELECT * FROM candidates JOIN 'data.csv' d ON true
#! sql_refused lists files
SELECT * FROM glob('/*')
#! sql_refused sniffs a file
SELECT * FROM sniff_csv('/etc/passwd')
#! sql_refused reads a file's metadata
SELECT * FROM parquet_metadata('x.parquet')
#! sql_refused reads a file's metadata: keys
SELECT * FROM parquet_kv_metadata('x.parquet')
#! sql_refused reads a file's schema
SELECT * FROM parquet_schema('x.parquet')
#! sql_refused probes a file
SELECT * FROM parquet_bloom_probe('x.parquet', 'a', 1)
#! sql_refused reads the environment
SELECT getenv('HOME')
#! sql_refused reads a setting
SELECT current_setting('memory_limit')
#! sql_refused reads settings
SELECT * FROM duckdb_settings()
#! dataset_not_found reads settings through the view
SELECT * FROM duckdb_settings
#! sql_refused reads secrets
SELECT * FROM duckdb_secrets()
#! sql_refused asks which secret fits
SELECT * FROM which_secret('s3://bucket/x', 's3')
#! sql_refused reads a variable
SELECT getvariable('x')
#! sql_refused lists the functions
SELECT * FROM duckdb_functions()
#! sql_refused lists the tables
SELECT * FROM duckdb_tables()
#! sql_refused lists the views with their text
SELECT sql FROM duckdb_views()
#! sql_refused lists the columns
SELECT * FROM duckdb_columns()
#! sql_refused lists the databases
SELECT * FROM duckdb_databases()
#! sql_refused lists the extensions
SELECT * FROM duckdb_extensions()
#! sql_refused reads the memory's use
SELECT * FROM duckdb_memory()
#! sql_refused reads the logs
SELECT * FROM duckdb_logs()
#! sql_refused lists temporary files
SELECT * FROM duckdb_temporary_files()
#! sql_refused lists prepared statements of others
SELECT * FROM duckdb_prepared_statements()
#! dataset_not_found reads the catalogue: sqlite_master
SELECT * FROM sqlite_master
#! sql_refused reads the catalogue: information_schema
SELECT * FROM information_schema.tables
#! sql_refused reads the catalogue: pg_catalog
SELECT * FROM pg_catalog.pg_class
#! dataset_not_found reads the catalogue: pg_class by its bare name
SELECT * FROM pg_class
#! sql_refused reads the catalogue: storage
SELECT * FROM pragma_storage_info('candidates')
#! sql_refused reads the catalogue: a table's columns
SELECT * FROM pragma_table_info('candidates')
#! sql_refused reads the catalogue: SHOW
SHOW ALL TABLES
#! sql_refused reads the catalogue: SHOW TABLES
SHOW TABLES
#! sql_refused reads the catalogue: SHOW DATABASES
SHOW DATABASES
#! sql_refused reads the catalogue: in a subquery
SELECT * FROM (SHOW ALL TABLES)
#! sql_refused reads the catalogue: view definition
SELECT pg_get_viewdef(0)
#! sql_refused names a table with a schema
SELECT * FROM main.candidates
#! sql_refused names a table with a catalogue
SELECT * FROM memory.main.candidates
#! sql_refused names a table of the temporary schema
SELECT * FROM temp.main.candidates
#! sql_refused names a table of the system
SELECT * FROM system.information_schema.tables
#! sql_refused a CTE does not open a schema of its name
WITH information_schema AS (SELECT 1) SELECT * FROM information_schema.tables
#! dataset_not_found a CTE does not see itself
WITH sqlite_master AS (SELECT * FROM sqlite_master) SELECT * FROM sqlite_master
#! dataset_not_found a CTE does not see later ones
WITH a AS (SELECT * FROM pg_class), pg_class AS (SELECT 1) SELECT * FROM a
#! dataset_not_found a CTE's name ends with its query
SELECT * FROM (WITH pg_class AS (SELECT 1 AS x) SELECT * FROM pg_class) s, pg_class
#! sql_refused runs SQL from text: query
SELECT * FROM query('SELECT 1')
#! sql_refused runs SQL from text: query_table
SELECT * FROM query_table('pg_class')
#! sql_refused runs SQL from text: query_table of a list
SELECT * FROM query_table(['a', 'b'])
#! sql_refused runs SQL from a tree
SELECT * FROM json_execute_serialized_sql('{}')
#! sql_refused plans SQL from text
SELECT json_serialize_plan('SELECT * FROM read_csv(''/etc/passwd'')')
#! sql_refused parses SQL
SELECT json_serialize_sql('SELECT 1')
#! sql_refused reads a table named in an argument: histogram
SELECT * FROM histogram(pg_class, oid)
#! sql_refused reads a table named in an argument: histogram_values
SELECT * FROM histogram_values('pg_class', oid)
#! sql_refused reads a table by position
SELECT * FROM seq_scan('candidates')
#! sql_refused Tarn's own table function
SELECT * FROM tarn_source()
#! sql_refused reads memory through a pointer
SELECT * FROM arrow_scan(1, 2, 3)
#! sql_refused the engine's test values
SELECT * FROM test_all_types()
#! sql_refused several statements
SELECT 1; DROP TABLE candidates
#! sql_refused several statements, one hidden
SELECT 1; /* ; */ SELECT 2
#! sql_refused changes data: INSERT
INSERT INTO candidates VALUES (1)
#! sql_refused changes data: UPDATE
UPDATE candidates SET id = 1
#! sql_refused changes data: DELETE
DELETE FROM candidates
#! sql_refused changes data: TRUNCATE
TRUNCATE candidates
#! sql_refused changes data: MERGE
MERGE INTO candidates USING clients ON true WHEN MATCHED THEN DELETE
#! sql_refused changes data in a CTE: DELETE
WITH x AS (DELETE FROM candidates RETURNING *) SELECT * FROM x
#! sql_refused changes data in a CTE: INSERT
WITH x AS (INSERT INTO candidates SELECT * FROM candidates RETURNING id) SELECT * FROM x
#! sql_refused changes data in a CTE: UPDATE
WITH x AS (UPDATE candidates SET id = 2 RETURNING id) SELECT count(*) FROM x
#! sql_refused changes data in a CTE of a subquery
SELECT * FROM (WITH x AS (DELETE FROM candidates RETURNING *) SELECT * FROM x)
#! sql_refused makes a table
CREATE TABLE t AS SELECT 1
#! sql_error makes a table: SELECT INTO
SELECT 1 INTO t
#! sql_refused makes a view
CREATE OR REPLACE TEMP VIEW candidates AS SELECT 1
#! sql_refused makes a macro
CREATE MACRO f(x) AS x
#! sql_refused makes a secret
CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')
#! sql_refused makes a sequence
CREATE SEQUENCE s
#! sql_refused makes a type
CREATE TYPE mood AS ENUM ('a')
#! sql_refused drops a table
DROP TABLE candidates
#! sql_refused alters a table
ALTER TABLE candidates ADD COLUMN x INTEGER
#! sql_refused writes a file
COPY (SELECT 1) TO '/tmp/x.csv'
#! sql_refused reads a file into a table
COPY candidates FROM '/etc/passwd'
#! sql_refused exports all
EXPORT DATABASE '/tmp/x'
#! sql_refused imports all
IMPORT DATABASE '/tmp/x'
#! sql_refused opens a database
ATTACH '/tmp/x.db' AS x
#! sql_refused leaves a database
DETACH memory
#! sql_refused changes the search path
USE information_schema
#! sql_refused installs an extension
INSTALL httpfs
#! sql_refused loads an extension
LOAD httpfs
#! sql_refused changes a setting
SET memory_limit = '100GB'
#! sql_refused resets a setting
RESET memory_limit
#! sql_refused sets a variable
SET VARIABLE x = 1
#! sql_refused PRAGMA
PRAGMA database_list
#! sql_refused PRAGMA with effect
PRAGMA enable_profiling
#! sql_refused EXPLAIN ANALYZE of a change
EXPLAIN ANALYZE DELETE FROM candidates
#! sql_refused calls a procedure
CALL pragma_version()
#! sql_refused prepares a statement
PREPARE p AS SELECT 1
#! sql_refused runs a prepared statement
EXECUTE p
#! sql_refused drops a prepared statement
DEALLOCATE p
#! sql_refused begins a transaction
BEGIN TRANSACTION
#! sql_refused ends a transaction
ROLLBACK
#! sql_refused forces a checkpoint
CHECKPOINT
#! sql_refused forces a checkpoint by function
SELECT * FROM force_checkpoint()
#! sql_refused vacuums
VACUUM
#! sql_refused analyses
ANALYZE
#! sql_refused comments
COMMENT ON TABLE candidates IS 'x'
#! sql_refused pivots over what it finds, which makes a type
PIVOT candidates ON status USING count(*)
#! sql_refused takes from a sequence
SELECT nextval('s')
#! sql_refused looks at a sequence
SELECT currval('s')
#! sql_refused seeds the randomness of others
SELECT setseed(0.5)
#! sql_refused writes to the log
SELECT write_log('x')
#! sql_refused switches logging on
SELECT * FROM enable_logging()
#! sql_refused sleeps
SELECT sleep_ms(100000)
#! sql_refused sleeps by the other name
SELECT pg_sleep(100)
#! sql_refused asks who runs it
SELECT current_user()
#! sql_refused asks for the database
SELECT current_database()
#! sql_refused asks for the schemas
SELECT current_schemas(true)
#! sql_refused asks for the text of the query
SELECT current_query()
#! sql_refused asks for the transaction
SELECT txid_current()
#! sql_refused asks for the connection
SELECT current_connection_id()
#! sql_refused asks for the client's address
SELECT inet_client_addr()
#! sql_refused asks for the platform
SELECT * FROM pragma_platform()
#! sql_refused asks for the version of the library
SELECT * FROM pragma_version()
#! sql_refused a refused function as a method
SELECT ('HOME').getenv()
#! sql_refused a refused function inside an allowed one
SELECT upper(getenv('HOME'))
#! sql_refused a refused function as a window
SELECT getenv('HOME') OVER ()
#! sql_refused a refused function in COLUMNS
SELECT COLUMNS(c -> getenv(c) IS NULL) FROM candidates
#! sql_refused a refused function in REPLACE
SELECT * REPLACE (getenv('HOME') AS name) FROM candidates
#! sql_refused a refused function in GROUP BY
SELECT 1 FROM candidates GROUP BY getenv('HOME')
#! sql_refused a refused function in DISTINCT ON
SELECT DISTINCT ON (getenv('HOME')) 1 FROM candidates
#! sql_refused a refused function in a list comprehension
SELECT [getenv('HOME') FOR x IN [1]]
#! sql_refused a refused function in a struct
SELECT {'a': getenv('HOME')}
#! sql_refused a refused function in an aggregate's ORDER BY
SELECT string_agg(name, ',' ORDER BY getenv('HOME')) FROM candidates
#! sql_refused a refused function in USING SAMPLE's place
SELECT * FROM (SELECT getenv('HOME')) USING SAMPLE 10 ROWS
#! sql_refused an internal function
SELECT __internal_compress_string_ubigint('a')
#! sql_refused a function that does not exist
SELECT nosuchfunction(1)
#! sql_refused a parameter as the moment
SELECT * FROM candidates AT (VERSION => $1)
#! sql_refused a column as the moment
SELECT * FROM candidates c, LATERAL (SELECT * FROM clients AT (VERSION => c.id)) q
#! sql_refused a CTE at another moment
WITH q AS (SELECT 1) SELECT * FROM q AT (VERSION => 1)
#! sql_refused a name of very many parts
SELECT a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p FROM candidates
#! sql_refused lambdas within lambdas
SELECT list_transform([1], lambda a: list_transform([a], lambda b: list_transform([b], lambda c: list_transform([c], lambda d: list_transform([d], lambda e: list_transform([e], lambda f: list_transform([f], lambda g: g)))))))
#! dataset_not_found a view of another moment by its inner name
SELECT * FROM "candidates@1"
#! sql_refused one value of billions of elements
SELECT len(range(3000000000))
#! sql_refused one value of gigabytes
SELECT length(repeat('x', 2000000000))
#! sql_refused one padded value of gigabytes
SELECT length(lpad('x', 2000000000, 'y'))
