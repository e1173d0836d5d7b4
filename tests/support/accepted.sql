## Statements that must run: the dialect that users expect.
##
## Each case is a head line marked as below, then the statement up to the next
## such line. The tables are candidates(id, name, status, rate, hired, skills)
## and clients(id, company, candidate_id).
#! a constant
SELECT 1
#! all columns
SELECT * FROM candidates
#! FROM first
FROM candidates SELECT name WHERE id = 1
#! FROM alone
FROM candidates
#! TABLE
TABLE candidates
#! VALUES
VALUES (1, 'a'), (2, 'b')
#! a semicolon at the end
SELECT 1;
#! comments
SELECT 1 /* one; */ -- two;
#! names in another case
select NAME from CANDIDATES where ID = 1
#! quoted names
SELECT "name" AS "The Name" FROM "candidates" "c"
#! DISTINCT, ORDER BY, LIMIT, OFFSET
SELECT DISTINCT status FROM candidates ORDER BY status DESC NULLS LAST LIMIT 5 OFFSET 0
#! ORDER BY ALL, LIMIT in percent
SELECT * EXCLUDE (skills) FROM candidates ORDER BY ALL LIMIT 50%
#! DISTINCT ON
SELECT DISTINCT ON (status) status, name FROM candidates ORDER BY status, id
#! EXCLUDE, REPLACE, RENAME
SELECT * EXCLUDE (rate) REPLACE (upper(name) AS name) RENAME (status AS state) FROM candidates
#! COLUMNS
SELECT COLUMNS('na.*|sta.*') FROM candidates
#! COLUMNS with a lambda
SELECT COLUMNS(lambda c: c LIKE 'n%') FROM candidates
#! aliases before the expression
SELECT a: 1, b: 2
#! GROUP BY ALL and HAVING
SELECT status, count(*) AS n FROM candidates GROUP BY ALL HAVING count(*) >= 1
#! ROLLUP, CUBE, GROUPING SETS
SELECT status, name, grouping(status), count(*) FROM candidates GROUP BY ROLLUP (status, name)
#! CUBE
SELECT status, name, count(*) FROM candidates GROUP BY CUBE (status, name)
#! GROUPING SETS
SELECT status, name, count(*) FROM candidates GROUP BY GROUPING SETS ((status), (name), ())
#! FILTER and DISTINCT in aggregates
SELECT count(*) FILTER (WHERE rate > 1), count(DISTINCT status), string_agg(name, ', ' ORDER BY name) FROM candidates
#! ordered-set aggregates
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY rate), median(rate), quantile_cont(rate, [0.1, 0.9]), mode(status) FROM candidates
#! arg_max, any_value, histogram
SELECT arg_max(name, rate), any_value(status), histogram(status), approx_count_distinct(name) FROM candidates
#! window functions
SELECT name, row_number() OVER (PARTITION BY status ORDER BY id), lag(rate, 1, 0) OVER w, sum(rate) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), first_value(name IGNORE NULLS) OVER w, ntile(2) OVER w, rank() OVER w, dense_rank() OVER w, percent_rank() OVER w, cume_dist() OVER w, nth_value(name, 1) OVER w, lead(name) OVER w, last_value(name) OVER w FROM candidates WINDOW w AS (ORDER BY id)
#! a window over time
SELECT avg(rate) OVER (ORDER BY hired RANGE BETWEEN INTERVAL 30 DAYS PRECEDING AND CURRENT ROW) FROM candidates
#! QUALIFY
SELECT * FROM candidates QUALIFY row_number() OVER (PARTITION BY status ORDER BY id) = 1
#! inner and outer joins
SELECT * FROM candidates c LEFT JOIN clients k ON k.candidate_id = c.id RIGHT JOIN clients k2 ON k2.id = k.id FULL JOIN candidates d ON d.id = k2.id
#! cross, natural, semi and anti joins
SELECT * FROM candidates NATURAL JOIN clients CROSS JOIN range(2) SEMI JOIN clients k USING (id) ANTI JOIN clients l USING (id)
#! ASOF join
SELECT * FROM candidates c ASOF JOIN clients k ON c.id >= k.candidate_id
#! positional join
SELECT * FROM candidates POSITIONAL JOIN clients
#! lateral join
SELECT * FROM candidates c, LATERAL (SELECT c.id + 1 AS next) q
#! lateral unnest
SELECT name, s FROM candidates, unnest(skills) AS u(s)
#! unnest in the list
SELECT name, unnest(skills) FROM candidates
#! common table expressions
WITH active AS (SELECT * FROM candidates WHERE status = 'active'), named AS MATERIALIZED (SELECT name FROM active) SELECT * FROM named
#! a CTE that shadows a dataset
WITH clients AS (SELECT 1 AS x) SELECT x FROM clients
#! a CTE that reads the dataset that it shadows
WITH clients AS (SELECT * FROM clients WHERE id = 10) SELECT company FROM clients
#! a CTE of an outer query
WITH a AS (SELECT 1 AS x) SELECT (SELECT max(x) FROM a), (WITH b AS (SELECT * FROM a) SELECT count(*) FROM b)
#! a recursive CTE
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r
#! a recursive CTE with a key
WITH RECURSIVE r(n, v) USING KEY (n) AS (SELECT 1, 1 UNION SELECT n, v + 1 FROM r WHERE v < 5) SELECT * FROM r
#! set operations
SELECT id FROM candidates UNION SELECT id FROM clients UNION ALL SELECT 3 EXCEPT SELECT 4 INTERSECT SELECT 5
#! UNION BY NAME
SELECT id, name FROM candidates UNION ALL BY NAME SELECT company, id FROM clients
#! subqueries
SELECT (SELECT max(rate) FROM candidates), EXISTS (SELECT 1 FROM clients), 1 IN (SELECT id FROM candidates), 1 = ANY (SELECT id FROM candidates), ARRAY(SELECT id FROM candidates)
#! a correlated subquery
SELECT name, (SELECT count(*) FROM clients k WHERE k.candidate_id = c.id) FROM candidates c
#! PIVOT with its values
PIVOT candidates ON status IN ('active', 'placed') USING count(*) GROUP BY name
#! PIVOT in FROM
SELECT * FROM candidates PIVOT (sum(rate) FOR status IN ('active', 'placed') GROUP BY name)
#! UNPIVOT
UNPIVOT (SELECT id, rate, id * 2.0 AS twice FROM candidates) ON rate, twice INTO NAME what VALUE value
#! TABLESAMPLE
SELECT count(*) <= 3 FROM candidates TABLESAMPLE 50%
#! USING SAMPLE
SELECT * FROM candidates USING SAMPLE 2 ROWS
#! AT VERSION
SELECT * FROM candidates AT (VERSION => 1)
#! AT TIMESTAMP
SELECT * FROM candidates AT (TIMESTAMP => now() - INTERVAL 1 DAY)
#! AT with an alias
SELECT c.name FROM candidates c AT (VERSION => 1) JOIN candidates n ON n.id = c.id
#! DESCRIBE
DESCRIBE candidates
#! SUMMARIZE
SUMMARIZE candidates
#! DESCRIBE of a query
DESCRIBE SELECT name FROM candidates
#! DESCRIBE in FROM
SELECT column_name FROM (DESCRIBE candidates)
#! SUMMARIZE in FROM
SELECT column_name, approx_unique FROM (SUMMARIZE candidates)
#! CASE, COALESCE, NULLIF, IF
SELECT CASE status WHEN 'active' THEN 1 ELSE 0 END, CASE WHEN rate > 90 THEN 'high' END, coalesce(rate, 0), nullif(status, 'active'), if(rate > 90, 1, 2), ifnull(rate, 0) FROM candidates
#! comparisons
SELECT rate BETWEEN 1 AND 100, rate NOT BETWEEN 1 AND 2, rate IS NULL, rate IS NOT NULL, rate IS DISTINCT FROM 1, rate IS NOT DISTINCT FROM 1, id IN (1, 2), id NOT IN (3), NOT (id = 1), id <> 2, id != 3, true IS TRUE FROM candidates
#! arithmetic
SELECT 1 + 2 - 3 * 4 / 5 // 2 % 3, 2 ^ 3, 2 ** 3, -id, @(-5), 5!, 1 & 3 | 4, 1 << 2, 8 >> 1, ~1 FROM candidates
#! text
SELECT name || '!', name LIKE 'A%', name NOT ILIKE 'a%', name SIMILAR TO 'A.*', name ~ 'A', name GLOB 'A*', name ^@ 'A', substring(name FROM 1 FOR 2), position('n' IN name), trim(BOTH ' ' FROM name), overlay(name PLACING 'x' FROM 1), upper(name), concat_ws(',', name, status), split_part('a,b', ',', 1), regexp_replace(name, 'n', 'm', 'g'), format('{} {}', id, name), printf('%d', id), lpad('7', 3, '0'), levenshtein(name, 'Ann'), strip_accents('é'), starts_with(name, 'A') FROM candidates
#! methods
SELECT name.upper().lower(), ('abc').length() FROM candidates
#! COLLATE
SELECT name FROM candidates WHERE name COLLATE NOCASE = 'ann' ORDER BY name COLLATE de
#! dates and times
SELECT date_trunc('month', hired), extract(year FROM hired), hired + INTERVAL 1 MONTH, hired - DATE '2024-01-01', date_diff('day', hired, current_date), strftime(hired, '%Y-%m'), age(TIMESTAMP '2024-01-01'), now() AT TIME ZONE 'Europe/Berlin', current_timestamp, localtimestamp, time_bucket(INTERVAL 1 WEEK, hired), make_date(2024, 1, 1), epoch_ms(0), to_days(3), strptime('2024-01-01', '%Y-%m-%d'), year(hired), dayname(hired), last_day(hired) FROM candidates
#! casts
SELECT CAST('1' AS INTEGER), '1'::DOUBLE, TRY_CAST('x' AS INTEGER), 1::DECIMAL(10, 2), '[1]'::INTEGER[], 'a'::ENUM ('a', 'b'), '{"a": 1}'::JSON, ROW(1, 'a')::STRUCT(x INTEGER, y VARCHAR), DATE '2024-01-01', TIME '10:00', X'AB', INTERVAL '1' DAY
#! lists
SELECT [1, 2, 3][1], [1, 2, 3][-1], [1, 2, 3][1:2], list_sort([3, 1]), list_contains(skills, 'sql'), len(skills), list_aggregate([1, 2], 'sum'), flatten([[1], [2]]), array_to_string(skills, ','), list_distinct(skills), range(3), list_zip([1], [2]), skills || ['x'] FROM candidates
#! lambdas
SELECT list_transform([1, 2], lambda x: x + 1), list_filter([1, 2], lambda x: x > 1), list_reduce([1, 2], lambda a, b: a + b), [x + 1 FOR x IN [1, 2, 3] IF x > 1]
#! structs and maps
SELECT {'a': 1, 'b': {'c': 2}}.b.c, struct_pack(x := 1).x, struct_insert({'a': 1}, b := 2), MAP {'a': 1}['a'], map_keys(MAP {'a': 1}), map_from_entries([('a', 1)]), ROW(1, 2), (1, 2)
#! a whole row as a struct
SELECT candidates FROM candidates
#! JSON
SELECT '{"a": [1, 2]}'::JSON -> 'a' -> 0, '{"a": 1}' ->> '$.a', json_extract('{"a": 1}', '$.a'), json_object('a', 1), to_json({'a': 1}), json_array_length('[1]'), json_group_array(1), json_keys('{"a": 1}')
#! JSON as rows
SELECT key, value FROM json_each('{"a": 1}')
#! series
SELECT * FROM generate_series(1, 10, 2), range(DATE '2024-01-01', DATE '2024-01-03', INTERVAL 1 DAY)
#! unnest in FROM, with its order
SELECT * FROM unnest([10, 20]) WITH ORDINALITY
#! numbers
SELECT round(1.5), floor(1.5), abs(-1), sqrt(2), ln(2), greatest(1, 2), least(1, 2), sign(-1), gcd(4, 6), pi(), random() < 1, hash('x') > 0, md5('x'), sha256('x'), bit_count(7)
#! identifiers
SELECT length(uuid()::VARCHAR), length(gen_random_uuid()::VARCHAR)
#! TRY
SELECT TRY(1 / 0)
#! a list of values in FROM
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(x, y) WHERE x = 1
#! long IN list and many ORs
SELECT count(*) FROM candidates WHERE id IN (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20) OR id = 21 OR id = 22 OR id = 23
#! strings of all kinds
SELECT 'it''s', E'a\nb', $$dollar 'quoted'; --$$, $tag$ $$ $tag$, 'a' || 'b', ''
#! numbers of all kinds
SELECT 1_000, 1e5, 0x1F, 0b11, .5, 12345678901234567890123, 1.50
#! positional references
SELECT name, rate FROM candidates ORDER BY #2, 1
#! distances between vectors
SELECT list_cosine_similarity([1.0, 2.0], [2.0, 1.0]), array_distance([1.0, 2.0]::FLOAT[2], [2.0, 1.0]::FLOAT[2])
#! the version of the dialect
SELECT version() <> ''
#! typeof
SELECT typeof(rate), pg_typeof(name) FROM candidates
