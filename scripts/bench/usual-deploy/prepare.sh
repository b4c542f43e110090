#!/usr/bin/env bash
# What the usual deploy finds on the host: an account, a database, a message broker and a name at nginx, all of its own.
set -euo pipefail
useradd --system --user-group --home-dir /srv/usual --shell /usr/sbin/nologin usual
install -d -m 0755 -o usual -g usual /srv/usual /srv/usual/releases
install -d -m 0755 -o usual -g www-data /srv/usual/run
install -d -m 0755 /etc/usual
cd /
runuser -u postgres -- createuser usual
runuser -u postgres -- createdb --owner usual usual
rabbitmqctl --quiet add_vhost usual
rabbitmqctl --quiet add_user usual usual
rabbitmqctl --quiet set_permissions --vhost usual usual '.*' '.*' '.*'
sed -e 's|^DATABASE_URL=.*|DATABASE_URL="postgresql://usual@/usual?host=/run/postgresql"|' \
  -e 's|^CELERY_BROKER_URL=.*|CELERY_BROKER_URL="amqp://usual:usual@127.0.0.1:5672/usual"|' \
  -e 's|^ALLOWED_HOSTS=.*|ALLOWED_HOSTS="usual.example.com"|' \
  -e 's|/srv/shop-production/|/srv/usual/|' \
  /etc/shop-production/environment >/etc/usual/environment
chown root:usual /etc/usual/environment
chmod 0640 /etc/usual/environment
cat >/etc/nginx/sites-enabled/usual.conf <<'NGINX'
server {
    listen 443 ssl;
    server_name usual.example.com;
    ssl_certificate /etc/shop-production/tls/fullchain.pem;
    ssl_certificate_key /etc/shop-production/tls/privkey.pem;
    location / {
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_pass http://unix:/srv/usual/run/gunicorn.sock;
    }
    location /static/ {
        alias /srv/usual/static/;
    }
}
NGINX
echo '127.0.0.1 usual.example.com' >>/etc/hosts
nginx -t -q
systemctl reload nginx.service
# Ansible's module for pip needs one of them.
DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends python3-packaging python3-setuptools >/dev/null
