#!/usr/bin/env sh
# Start PostgreSQL; at the first start make the cluster, user and database that POSTGRES_* name, with the password of the file.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 >/dev/null
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_DB\";" | postgres --single -D "$PGDATA" -j template1 >/dev/null
fi
exec postgres -D "$PGDATA" -c listen_addresses='*'
