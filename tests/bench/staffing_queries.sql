-- The six queries that the requirements measure on the staffing workload.
-- A line "-- query: NAME" starts each; the text up to the semicolon is SQL that
-- Tarn and any other engine with the same tables can run.

-- query: candidate_filter
SELECT candidate_id, first_name, last_name, phone, skills, desired_rate
FROM candidates
WHERE list_contains(string_split(skills, '; '), 'Java') AND city = 'Chicago' AND status = 'active'
ORDER BY desired_rate DESC, candidate_id
LIMIT 100;

-- query: timesheet_aggregate
SELECT c.vertical, c.company_name, count(*) AS sheets, sum(t.hours) AS hours,
       sum(t.bill_total) AS billed, sum(t.bill_total - t.pay_total) AS margin
FROM timesheets t
JOIN placements p ON p.placement_id = t.placement_id
JOIN job_orders j ON j.job_id = p.job_id
JOIN clients c ON c.client_id = j.client_id
WHERE t.approved
GROUP BY c.vertical, c.company_name
ORDER BY billed DESC, c.company_name
LIMIT 50;

-- query: cold_leads
SELECT c.candidate_id, c.first_name, c.last_name, c.phone, count(*) AS calls, max(l.started_at) AS last_call
FROM candidates c
JOIN call_log l ON l.candidate_id = c.candidate_id
WHERE list_contains(string_split(c.skills, '; '), 'Java') AND c.city = 'Chicago'
  AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.candidate_id = c.candidate_id)
GROUP BY c.candidate_id, c.first_name, c.last_name, c.phone
HAVING count(*) >= 5
ORDER BY calls DESC, c.candidate_id;

-- query: recruiter_performance
SELECT p.recruiter, count(DISTINCT p.placement_id) AS placements, count(DISTINCT j.client_id) AS clients,
       sum(t.hours) AS hours, sum(t.bill_total - t.pay_total) AS margin
FROM placements p
JOIN job_orders j ON j.job_id = p.job_id
JOIN timesheets t ON t.placement_id = p.placement_id
GROUP BY p.recruiter
ORDER BY margin DESC, p.recruiter;

-- query: email_open_rate
SELECT recruiter, count(*) AS sent, count(*) FILTER (WHERE opened) AS opened,
       round(100.0 * count(*) FILTER (WHERE opened) / count(*), 2) AS open_rate
FROM email_log
WHERE direction = 'outbound'
GROUP BY recruiter
ORDER BY open_rate DESC, recruiter;

-- query: count_all
SELECT (SELECT count(*) FROM candidates) + (SELECT count(*) FROM clients) + (SELECT count(*) FROM job_orders)
     + (SELECT count(*) FROM placements) + (SELECT count(*) FROM timesheets) + (SELECT count(*) FROM call_log)
     + (SELECT count(*) FROM email_log) AS rows_in_all;
