-- Creates what is missing of a site's role and database; :site is the name of both.
-- Each query writes the statements that are needed, and \gexec carries them out.

SELECT format('CREATE ROLE %I LOGIN', :'site')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'site') \gexec

SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', :'site')
FROM pg_roles
WHERE rolname = :'site'
  AND (NOT rolcanlogin OR rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) \gexec

-- The sort order C.UTF-8 is the same on every system and never changes: indexes survive an upgrade of the
-- distribution, which has silently broken them under the orders of languages.
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C.UTF-8'' LC_CTYPE ''C.UTF-8''', :'site', :'site')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'site') \gexec

SELECT format('ALTER DATABASE %I OWNER TO %I', :'site', :'site')
FROM pg_database
WHERE datname = :'site' AND pg_get_userbyid(datdba) <> :'site' \gexec

-- By default every role may connect to every database. The rules of the server refuse the site all but its own one,
-- also the two that every server has; this is the second lock.
SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', datname)
FROM pg_database
WHERE datname IN (:'site', 'postgres', 'template1')
  AND (has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMPORARY')) \gexec
