#!/bin/bash
# Removes one site from this host: processes, files, database, message broker account, certificate, accounts. Prints a
# line for each thing that was there, so a second run prints nothing.
#
# Argument: the name of the site. Each name is spelled out: the name of another site may begin with this one.
set -euo pipefail
export LC_ALL=C
site=$1
[[ $site =~ ^[a-z][a-z0-9_]*-[a-z0-9][a-z0-9-]*$ ]]

# A deploy or a backup that runs is waited for.
for lock in "/run/$site-release.lock" "/run/$site-backup.lock"; do
  [ -e "$lock" ] || continue
  exec {descriptor}>>"$lock"
  if ! flock --wait 120 "$descriptor"; then
    echo "another run works on $site: $(cat "$lock")" >&2
    exit 75
  fi
done

removed() { printf '%s\n' "$*"; }

remove() {
  local path
  for path; do
    if [ -e "$path" ] || [ -L "$path" ]; then
      rm -rf --one-file-system -- "$path"
      removed "$path"
    fi
  done
}

# Takes the block of the site out of a file that belongs to all sites. Succeeds if there was one.
remove_block() {
  local file=$1
  [ -f "$file" ] && grep -Fqx "# BEGIN $site" "$file" || return 1
  # Written into the file, so that its owner and mode stay.
  local rest
  rest=$(sed "/^# BEGIN $site\$/,/^# END $site\$/d" "$file"; echo .)
  printf '%s' "${rest%.}" >"$file"
  removed "$site in $file"
}

# Visitors first.
served=$(remove "/etc/nginx/sites-enabled/$site.conf" "/etc/nginx/sites-available/$site.conf" "/etc/nginx/passwords/$site")
if [ -n "$served" ]; then
  removed "$served"
  if systemctl --quiet is-active nginx.service && nginx -t -q; then systemctl reload nginx.service; fi
fi

# Processes. A unit of which there is no file any more may still run.
units=(boot.service beat.service memcached.service retire.timer retire.service backup.timer backup-drill.timer)
kinds=(web worker backup backup-copy backup-failed)
for unit in "${units[@]}"; do
  [ -e "/etc/systemd/system/$site-$unit" ] || continue
  systemctl --quiet disable --now "$site-$unit" 2>/dev/null || systemctl stop "$site-$unit" || true
done
systemctl stop "${units[@]/#/$site-}" 2>/dev/null || true
for kind in "${kinds[@]}"; do systemctl stop "$site-$kind@*" 2>/dev/null || true; done
remove "${units[@]/#//etc/systemd/system/$site-}"
for kind in "${kinds[@]}"; do remove "/etc/systemd/system/$site-$kind@.service"; done
remove "/var/lib/systemd/timers/stamp-$site-backup.timer" "/var/lib/systemd/timers/stamp-$site-backup-drill.timer"
systemctl daemon-reload

# Database. The server may have gone already.
if getent passwd postgres >/dev/null && command -v psql >/dev/null; then
  sql() { runuser --user postgres -- psql --no-psqlrc --no-align --tuples-only --set ON_ERROR_STOP=1 --set site="$site" --dbname postgres; }
  cd /
  systemctl start postgresql.service 2>/dev/null || true
  databases=$(sql <<<"select datname from pg_database where datname in (:'site', :'site' || '_restored', :'site' || '_drill')
    or datname ~ ('^' || :'site' || '_replaced_[0-9]{8}T[0-9]{6}Z\$')")
  for database in $databases; do
    sql <<<"drop database \"$database\" with (force)" >/dev/null
    removed "database $database"
  done
  if [ -n "$(sql <<<"select from pg_roles where rolname = :'site'; select :ROW_COUNT" | grep -x 1 || true)" ]; then
    sql <<<"drop role \"$site\"" >/dev/null
    removed "role $site of the database"
  fi
  for rules in /etc/postgresql/*/main/pg_hba.conf; do
    if remove_block "$rules"; then systemctl reload postgresql.service; fi
  done
fi

# Message broker.
if command -v rabbitmqctl >/dev/null && systemctl --quiet is-active rabbitmq-server.service; then
  if rabbitmqctl --quiet list_vhosts name | grep -Fqx "$site"; then
    rabbitmqctl --quiet delete_vhost "$site"
    removed "virtual host $site of the broker"
  fi
  # A rotation of its password lets the site change between two users.
  for user in "$site" "$site.2"; do
    if rabbitmqctl --quiet list_users | cut -f 1 | grep -Fqx "$user"; then
      rabbitmqctl --quiet delete_user "$user"
      removed "user $user of the broker"
    fi
  done
fi

# Certificates. They are not revoked: another host may use them by now.
for name in "$site" "$site-www"; do
  remove "/etc/letsencrypt/renewal/$name.conf" "/etc/letsencrypt/live/$name" "/etc/letsencrypt/archive/$name"
done
remove "/etc/letsencrypt/authorities/$site.pem"

# The deploy key of the site.
remove_block /home/deploy/.ssh/authorized_keys || true

# Root keeps its login by key, which the first site that root has provisioned gave it.
login="/etc/ssh/sshd_config.d/00-$site.conf"
if [ -e "$login" ]; then
  mv "$login" /etc/ssh/sshd_config.d/00-root-login.conf
  removed "$login (its setting stays in 00-root-login.conf)"
fi

# Files.
remove "/srv/$site" "/etc/$site" "/run/$site" "/var/backups/$site" "/var/cache/$site" "/var/cache/$site-backup" \
  "/var/log/$site" "/var/www/$site" "/usr/local/lib/$site" "/etc/tmpfiles.d/$site.conf" \
  "/etc/logrotate.d/$site" "/etc/sudoers.d/$site-release" \
  "/usr/local/sbin/$site-backup" "/usr/local/sbin/$site-manage" "/usr/local/sbin/$site-release"
for log in access.log error.log; do
  remove "/var/log/nginx/$site.$log"
  for old in "/var/log/nginx/$site.$log".*; do remove "$old"; done
done

# Account.
if getent passwd "$site" >/dev/null; then
  pkill --signal KILL --uid "$site" || true
  userdel "$site"
  removed "account $site"
fi
if getent group "$site" >/dev/null; then groupdel "$site"; fi

# Last: as long as they are there, another run waits.
remove "/run/$site-release.lock" "/run/$site-backup.lock" "/run/$site-maintenance.lock"
for unit in "${units[@]}" "${kinds[@]/%/@*.service}"; do systemctl reset-failed "$site-$unit" 2>/dev/null || true; done
