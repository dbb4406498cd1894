#!/bin/sh
# What a person does with the package, in a fresh Debian without a network: tools/package-trial runs
# it there, with the simulator on port 443. /packages has the package, its next version and a login.
set -eu

failed() {
    printf 'trial: %s\n' "$*" >&2
    tail -n 20 /var/log/nginx/error.log >&2
    exit 1
}
passed() { printf 'ok - %s\n' "$*"; }

ask() { # PATH DATA [OPTION...]
    path=$1 data=$2
    shift 2
    curl -sS --max-time 20 "http://127.0.0.1:8000$path" -H 'Content-Type: application/json' \
        -H 'Authorization: Bearer sk-trial-SECRET' -d "$data" "$@"
}
loaded() { grep -q 'ngx_http_kiro_module\.so' "/proc/$(cat /run/nginx.pid)/maps"; }
stale() { grep -q 'ngx_http_kiro_module\.so (deleted)' "/proc/$(cat /run/nginx.pid)/maps"; }
wait_for() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        ! "$@" 2>/dev/null || return 0
        sleep 0.5
    done
    return 1
}
site_answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/health)" = 200 ]; }
not() { ! "$@"; }
left() { # what is there now and was not before
    find /etc /usr /var /run \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log \) -prune \
        -o -print | sort | comm -13 /root/before - | grep -v -e sim-ca -e '^/etc/ssl/certs/' -e '^/run/' || true
}
chat='{"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"Hello from the trial"}]}'

# services start here as on a real machine, and the service's host is the simulator
printf '#!/bin/sh\nexit 0\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
echo '127.0.0.1 runtime.us-east-1.kiro.dev management.us-east-1.kiro.dev' >>/etc/hosts
cp /packages/sim-ca.crt /usr/local/share/ca-certificates/
update-ca-certificates >/dev/null 2>&1

[ -e /etc/nginx/modules-enabled/50-mod-http-kiro.conf ] || failed 'the module is not enabled'
[ "$(stat -c '%a %U' /etc/nginx/kiro)" = '700 root' ] || failed 'the directory of the keys is not closed'
nginx -t -q || failed 'nginx -t with the module and without a site'
invoke-rc.d nginx start >/dev/null 2>&1 || failed 'nginx does not start'
wait_for loaded || failed 'nginx does not run with the module'
passed 'installed: the module is loaded by nginx as it comes'

sh /packages/tests/smoke >/tmp/smoke.log 2>&1 || failed "the package's own test: $(cat /tmp/smoke.log)"
passed "the package's own test"

install -m 0600 /packages/api-key /etc/nginx/kiro/api-key
printf 'trial:%s\n' "$(printf %s sk-trial-SECRET | sha256sum | cut -d' ' -f1)" >/etc/nginx/kiro/keys
ln -s ../sites-available/kiro /etc/nginx/sites-enabled/kiro
nginx -t -q || failed 'nginx -t with the example'
invoke-rc.d nginx reload >/dev/null 2>&1
wait_for site_answers || failed 'the example does not answer'
answer=$(ask /v1/chat/completions "$chat")
case $answer in *'You said'*'Hello from the trial'*) ;; *) failed "the answer is $answer" ;; esac
passed 'the example is enabled, and one curl is answered'
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/v1/models)" = 401 ] || failed 'served without a key'
kiro-creds /etc/nginx/kiro/api-key >/dev/null || failed 'kiro-creds'
passed 'kiro-creds reads the login'

stream='{"model":"claude-sonnet-4.5","stream":true,"messages":[{"role":"user","content":"[[sim:{\"words\":60,\"gap_ms\":100}]] upgrade"}]}'
ask /v1/chat/completions "$stream" -N >/tmp/stream 2>&1 &
client=$!
streams() { grep -q word3 /tmp/stream; }
wait_for streams || failed "the stream does not begin: $(head -c 300 /tmp/stream)"
old=$(cat /run/nginx.pid)
dpkg -i /packages/next.deb >/tmp/upgrade.log 2>&1 || failed "$(cat /tmp/upgrade.log)"
wait_for not stale || failed "the new module is not loaded: $(cat /tmp/upgrade.log)"
wait_for site_answers || failed 'the example does not answer after the upgrade'
[ "$(cat /run/nginx.pid)" != "$old" ] || failed 'the master is the old one'
loaded || failed 'the module is gone'
wait "$client" || failed 'the stream was cut by the upgrade'
grep -q '\[DONE\]' /tmp/stream || failed 'the stream has no end'
passed 'upgrade: the new module runs, a stream of before came to its end'
[ -s /etc/nginx/kiro/api-key ] || failed 'the key is gone'

dpkg -i /packages/next.deb >/tmp/again.log 2>&1
wait_for not stale || failed 'installed again: the old module runs'
mkdir -p /var/lib/nginx/kiro /var/lib/nginx/kiro-captures # as state_path and kiro_capture_path make them
: >/var/lib/nginx/kiro/main.json

dpkg -r libnginx-mod-http-kiro >/tmp/remove.log 2>&1 || failed "$(cat /tmp/remove.log)"
nginx -t -q || failed 'nginx -t after the removal'
wait_for not loaded || failed 'removed, and still loaded'
[ -s /etc/nginx/kiro/api-key ] || failed 'the removal took the key'
passed 'removed: nginx goes on without it, keys and state stay'

dpkg -i /packages/first.deb >/tmp/back.log 2>&1 || failed "$(cat /tmp/back.log)"
wait_for loaded || failed 'installed anew, and not loaded'
passed 'installed anew: enabled again'

dpkg -P libnginx-mod-http-kiro >/tmp/purge.log 2>&1 || failed "$(cat /tmp/purge.log)"
wait_for not loaded || failed 'purged, and still loaded'
apt-get -qq autoremove --purge -y >/dev/null 2>&1 || failed 'autoremove'
rest=$(left)
[ -z "$rest" ] || failed "left behind: $rest"
passed 'purged: nothing is left'
