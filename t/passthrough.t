use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# kiro_auth: callers with keys of their own. A key serves its request and leaves nothing behind.

my $p = Test::Kiro::patience();
my $mine = 'ksk_SECRETcaller' . 'a' x 24;   # not known to the service
my $odd  = 'sk-SECRETodd' . 'b' x 24;

my %DIALECT = (
    openai    => { path => 'chat/completions', make => 'openai_x',    stream => 'openai_stream',    object => 'openai_object' },
    anthropic => { path => 'messages',         make => 'anthropic_x', stream => 'anthropic_stream', object => 'anthropic_object' },
    responses => { path => 'responses',        make => 'responses_x', stream => 'responses_stream', object => 'responses_object' },
);
my @modes = map { my $d = $_; map { [ $d, $_ ] } 0, 1 } sort keys %DIALECT;

sub shape { return $_[0] eq 'anthropic' ? 'anthropic' : 'openai' }

my $t = Test::Kiro->new(
    login => 'credentials_file', allow => qr/kiro_account "main"/,
    location => 'kiro_retries 1;',
    http => <<'EOT',
    kiro_account theirs {
        endpoint %%SCHEME%%://kiro_runtime; management_endpoint %%ENDPOINT%%;
        ssl_trusted_certificate %%CA%%; ssl_name localhost;
    }
    kiro_account plain { endpoint %%ENDPOINT%%; ssl_trusted_certificate %%CA%%; ssl_name localhost; }
    map $http_x_who $who { default ""; good %%GOOD%%; bad %%BAD%%; odd %%ODD%%; }
EOT
    server => <<'EOT',
        location /theirs/v1/ { kiro_pass theirs; kiro_auth passthrough; kiro_retries 1; }
        location /main/v1/   { kiro_pass main; kiro_auth passthrough; kiro_retries 1; }
        location /map/v1/    { kiro_pass theirs; kiro_auth $who; kiro_client_key gatekey-SECRET-1 alice; }
        location /early/v1/  { kiro_pass theirs; kiro_auth passthrough; kiro_early_headers 50ms; }
        location ~ "^/path/(?<in_path>[^/]+)/v1/" { kiro_pass theirs; kiro_auth $in_path; }
        location /fall/v1/   { kiro_pass theirs; kiro_auth passthrough; kiro_fallback @fell; }
        location @fell       { return 200 "fell"; }
        location /plain/v1/  { kiro_pass plain; kiro_auth passthrough; }
EOT
    vars => { BAD => $mine, ODD => $odd, GOOD => 'ksk_SECRETlater' },
);
$t->start_sim;
my $good = $t->{simulator}{api_key};
$t->{vars}{GOOD} = $good;
$t->secret($mine, $odd);
$t->start_nginx;

my %by = (
    bearer      => sub { [ Authorization => "Bearer $_[0]" ] },
    'x-api-key' => sub { [ 'x-api-key' => $_[0] ] },
);

sub ask {
    my ($at, $mode, $plan, $headers) = @_;
    my ($dialect, $stream) = @$mode;
    my $d = $DIALECT{$dialect};
    my $make = $d->{make};
    my $x = $t->$make(scripted($plan), stream => $stream, path => "/$at/v1/$d->{path}", headers => [ @$headers ]);
    $t->run($x);
    return $x;
}

sub named { return "$_[0], $_[1][0] " . ($_[1][1] ? 'streamed' : 'collected') }

# --- who is served ----------------------------------------------------------------------------------------------------

for my $mode (@modes) {
    for my $how (sort keys %by) {
        for my $at (qw(theirs main)) {
            my $name = named("$at by $how", $mode);
            my $d = $DIALECT{ $mode->[0] };
            my $check = $mode->[1] ? $d->{stream} : $d->{object};
            $t->$check(ask($at, $mode, 'ok', $by{$how}->($good)), $name);
        }
    }
}
my @seen = $t->seen;
is((grep { ($_->{headers}{tokentype} // '') ne 'API_KEY' || $_->{headers}{authorization} ne "Bearer $good" } @seen)[0], undef,
    'each request went up with the key of its caller');
is((grep { exists $_->{body}{profileArn} } @seen)[0], undef, 'and without a profile ARN');
my %client = map { $_->{client} => 1 } $t->access(scalar @seen);
is(keys %client, 1, '$kiro_client: one name');
like((keys %client)[0], qr/^key:[0-9a-f]{16}$/, '... the fingerprint of the key');

# Two headers: the one that is a Kiro key counts.
my $r = $t->openai(scripted('ok'), path => '/theirs/v1/chat/completions', headers => [ Authorization => "Bearer $odd", 'x-api-key' => $good ]);
$t->openai_object($r, 'a Kiro key beside another');

# --- who is not -------------------------------------------------------------------------------------------------------

my $before = $t->stats;
for my $mode (@modes) {
    for my $at (qw(theirs main)) {
        my $e = $t->error_shape(ask($at, $mode, 'ok', []), shape($mode->[0]), 401, named("$at, no key", $mode));
        like($e->{message}, qr/ksk_/, 'what is missing');
        $e = $t->error_shape(ask($at, $mode, 'ok', $by{bearer}->($odd)), shape($mode->[0]), 401, named("$at, another key", $mode));
        like($e->{message}, qr/no Kiro API key/, 'what is wrong');
        $t->error_shape(ask($at, $mode, 'ok', $by{bearer}->("ksk_a b")), shape($mode->[0]), 401, named("$at, blanks", $mode));
        $t->error_shape(ask($at, $mode, 'ok', $by{bearer}->('ksk_')), shape($mode->[0]), 401, named("$at, prefix only", $mode));
        $t->error_shape(ask($at, $mode, 'ok', $by{'x-api-key'}->("ksk_a\tb")), shape($mode->[0]), 401, named("$at, a control character", $mode));
        $t->error_shape(ask($at, $mode, 'ok', $by{'x-api-key'}->('ksk_' . 'a' x 2000)), shape($mode->[0]), 401, named("$at, endless", $mode));
    }
}
is($t->stats->{generate}, $before->{generate}, 'none of them reached the service');
is($t->get('/theirs/v1/models')->{status}, 401, 'models without a key');
is($t->post('/theirs/v1/messages/count_tokens', $t->anthropic_body('hello'))->{status}, 401, 'counting without a key');
is(($t->run($t->exchange('HEAD', '/theirs/v1/')))[0]{status}, 200, 'a probe needs none');

# No header hides in a key.
for my $odd ("ksk_a%0d%0aX-Evil:%201", 'ksk_a%0ab', 'ksk_a%20b', 'ksk_%c3%a4') {
    my $x = $t->openai_x(scripted('ok'), path => "/path/$odd/v1/chat/completions");
    $t->run($x);
    $t->error_shape($x, 'openai', 401, "no key: $odd");
}
is($t->stats->{generate}, $before->{generate}, 'nor did those');

# A key that the service refuses: the caller hears of it, nobody refreshes, and nothing is remembered.
for my $mode (@modes) {
    for my $at (qw(theirs main)) {
        my $e = $t->error_shape(ask($at, $mode, 'ok', $by{bearer}->($mine)), shape($mode->[0]), 401, named("$at, refused", $mode));
        like($e->{message}, qr/Kiro refuses this API key/, 'in words');
    }
}
is($t->last_access(1)->{attempts}, 1, 'one attempt');
is($t->stats->{refresh}, $before->{refresh}, 'no refresh');
$t->openai_object($t->openai(scripted('ok')), 'the login of the account is as good as before');
is(json($t->get('/health')->{body})->{accounts}[0]{state}, 'ok', '... says kiro_health');
$t->openai_object(ask('theirs', [ 'openai', 0 ], 'ok', $by{bearer}->($good)), 'and so is another key');

# What passes is tried again, with the same key.
for my $mode (@modes) {
    my $d = $DIALECT{ $mode->[0] };
    my $check = $mode->[1] ? $d->{stream} : $d->{object};
    for my $plan ('500,ok', 'throttle,ok', 'drop,ok') {
        my $from = $t->seen;
        my $x = ask('theirs', $mode, $plan, $by{bearer}->($good));
        $t->$check($x, named("tried again: $plan", $mode));
        my @two = ($t->seen)[ $from .. $from + 1 ];
        is_deeply([ map { $_->{headers}{authorization} } @two ], [ ("Bearer $good") x 2 ], 'both with the key of the caller');
    }
}

# Another location helps callers, but is not open to everybody.
is($t->openai(scripted('quota'), path => '/fall/v1/chat/completions', headers => $by{bearer}->($good))->{body}, 'fell', 'kiro_fallback for a used quota');
for my $key ($mine, $odd) {
    $t->error_shape($t->openai(scripted('ok'), path => '/fall/v1/chat/completions', headers => $by{bearer}->($key)), 'openai', 401, 'none without a key that is good');
}

# Behind early headers the refusal is in the stream.
for my $dialect (sort keys %DIALECT) {
    my $make = $DIALECT{$dialect}{make};
    my $x = $t->$make(scripted({ delay_ms => 500 * $p, status => 403, message => 'The bearer token included in the request is invalid.' }),
        stream => 1, path => "/early/v1/$DIALECT{$dialect}{path}", headers => $by{bearer}->($good));
    $t->run($x);
    my $check = $DIALECT{$dialect}{stream};
    my $s = $t->$check($x, "refused behind early headers, $dialect");
    like($s->{error}{message} // '', qr/Kiro refuses this API key/, "$dialect: in words");
}

# --- what one caller meets is not the others' ---------------------------------------------------------------------------

for my $plan (qw(quota suspended), { status => 429, retry_after_ms => 60_000 }) {
    my $name = ref $plan ? 'throttle' : $plan;
    my $status = { quota => 429, suspended => 403, throttle => 429 }->{$name};
    for my $at (qw(theirs main)) {
        for my $mode (@modes) {
            my $is = $name eq 'quota' && $mode->[0] eq 'anthropic' ? 402 : $status;
            my $e = $t->error_shape(ask($at, $mode, $plan, $by{bearer}->($good)), shape($mode->[0]), $is, named("$at: $name", $mode));
            like($e->{message}, { quota => qr/quota/, suspended => qr/suspended/, throttle => qr/rate of requests/ }->{$name}, '... and why');
        }
        $t->openai_object(ask($at, [ 'openai', 0 ], 'ok', $by{bearer}->($good)), "$at: the next request is tried");
    }
    $t->openai_object($t->openai(scripted('ok')), "$name: the account serves");
    my $h = json($t->get('/health')->{body});
    is_deeply([ map { $_->{state} } @{ $h->{accounts} } ], [ ('ok') x 3 ], "$name: kiro_health");
}
# ... nor is what the account meets theirs.
$t->openai(scripted('quota'));
is(json($t->get('/health')->{body})->{accounts}[0]{state}, 'exhausted', 'the account is exhausted');
$t->openai_object(ask('main', [ 'openai', 0 ], 'ok', $by{bearer}->($good)), 'callers with keys of their own go on');
$t->error_shape($t->openai(scripted('ok')), 'openai', 429, 'those of the account do not');

# Many callers at once, on connections that are kept on both sides: each request goes up with its own key.
{
    my @keys = map { $t->sim(POST => 'tokens', { api_key => JSON::PP::true })->{api_key} } 1 .. 7;
    $t->secret(@keys);
    my ($clients, $rounds) = (9, 5);
    my $serial = 0;
    my %want;
    my $text = sub {
        my ($client, $round) = @_;
        my $key = $keys[ ($client * 3 + $round) % @keys ];
        my ($dialect, $stream) = @{ $modes[ ($client + $round) % @modes ] };
        my $mark = 'caller-' . ++$serial . '-mark';
        $want{$mark} = $key;
        my $make = $DIALECT{$dialect}{make};
        my $where = $client % 2 ? 'theirs' : 'plain';
        my $x = $t->$make(scripted({ delay_ms => 20 }) . " $mark", stream => $stream, path => "/$where/v1/$DIALECT{$dialect}{path}",
            headers => [ @{ $by{ $round % 2 ? 'bearer' : 'x-api-key' }->($key) }, Connection => 'keep-alive' ], keep => 1);
        $x->{mine} = $mark;
        return $x;
    };
    my $accepted = $t->stats->{connections_accepted};
    my @open = map { $text->($_, 0) } 1 .. $clients;
    my $served = 0;
    for my $round (1 .. $rounds) {
        $t->run(60, @open);
        $served += grep { !$_->{error} && $_->{status} == 200 } @open;
        last if $round == $rounds;
        for my $i (0 .. $#open) { $open[$i]->again($text->($i + 1, $round)->{out}) }
    }
    is($served, $clients * $rounds, 'many callers: all are served');
    my %got;
    for my $q ($t->seen) {
        my ($mark) = json($q->{body}) =~ /(caller-\d+-mark)/ or next;
        $got{$mark} = $q->{headers}{authorization} =~ s/^Bearer //r;
    }
    is_deeply(\%got, \%want, '... each with its own key');
    cmp_ok($t->stats->{connections_accepted} - $accepted, '<', $clients * $rounds, '... on connections that are used again');
    is_deeply([ map { $_->{state} } @{ json($t->get('/health')->{body})->{accounts} } ], [ 'exhausted', 'ok', 'ok' ], '... and nothing is remembered');

    # One of them is refused, the others are not.
    $t->error_shape(ask('theirs', [ 'openai', 0 ], 'ok', $by{bearer}->($mine)), 'openai', 401, 'an unknown key between them');
    $t->openai_object(ask('theirs', [ 'openai', 0 ], 'ok', $by{bearer}->($_)), 'another caller goes on') for @keys[0, 1];
}

# Lists of models: none is fetched with a caller's key.
$t->ok_response($t->get('/theirs/v1/models', headers => $by{bearer}->($good)), 200, qr/json/, 'models of an account without a credential');
$t->ok_response($t->get('/main/v1/models', headers => $by{bearer}->($good)), 200, qr/json/, 'models of an account with one');
my $log = $t->sim(GET => 'log?op=models');
is((grep { ($_->{headers}{authorization} // '') eq "Bearer $good" } @$log)[0], undef, 'no list was fetched with a key of a caller');
my ($other) = map { json($_->{body})->{data} } $t->get('/theirs/v1/models', headers => $by{bearer}->($good));
ok(@$other > 3, 'the built-in models');

# --- a key from a variable ----------------------------------------------------------------------------------------------

for my $mode (@modes) {
    my $d = $DIALECT{ $mode->[0] };
    my $check = $mode->[1] ? $d->{stream} : $d->{object};
    my @gate = (Authorization => 'Bearer gatekey-SECRET-1');
    $t->$check(ask('map', $mode, 'ok', [ @gate, 'X-Who' => 'good' ]), named('from a map', $mode));
    $t->error_shape(ask('map', $mode, 'ok', [ @gate, 'X-Who' => 'nobody' ]), shape($mode->[0]), 401, named('an empty value', $mode));
    $t->error_shape(ask('map', $mode, 'ok', [ @gate, 'X-Who' => 'odd' ]), shape($mode->[0]), 401, named('no Kiro key', $mode));
    $t->error_shape(ask('map', $mode, 'ok', [ @gate, 'X-Who' => 'bad' ]), shape($mode->[0]), 401, named('a refused one', $mode));
    $t->error_shape(ask('map', $mode, 'ok', [ 'X-Who' => 'good' ]), shape($mode->[0]), 401, named('without the client key', $mode));
}
my ($line) = grep { $_->{uri} =~ m{^/map} && $_->{status} == 200 } $t->access(1);
is($line->{client}, 'alice', '$kiro_client: the name of the client key');
ok($t->grep_log(qr/\[warn\].*the value of "kiro_auth" is empty/), 'an empty value is logged');
ok($t->grep_log(qr/\[error\].*the value of "kiro_auth" is no API key/), 'a wrong one, too');

# Nothing stays in what the workers share, nor in a file.
sub shared_memory {
    my ($pid) = $t->workers;
    open my $maps, '<', "/proc/$pid/maps" or return '';
    no warnings 'portable';
    my @zones = map { /^([0-9a-f]+)-([0-9a-f]+) rw-s .*\/dev\/zero/ ? [ hex $1, hex $2 ] : () } <$maps>;
    open my $mem, '<:raw', "/proc/$pid/mem" or return '';
    my $all = '';
    for (@zones) {
        sysseek $mem, $_->[0], 0;
        sysread $mem, my $bytes, $_->[1] - $_->[0];
        $all .= $bytes // '';
    }
    return $all;
}
my $zone = shared_memory();
SKIP: {
    skip 'the memory of another process cannot be read here', 2 if !length $zone;
    cmp_ok(index($zone, 'theirs'), '>=', 0, 'the zone is what was looked at');
    is_deeply([ grep { index($zone, $_) >= 0 } $good, $mine, $odd ], [], 'no key in the zone');
}
my $dir = $t->{dir};
$t->reload;
my @files = grep { -f && !m{/nginx\.conf$} } split /\0/, qx{find $dir -path $dir/sim -prune -o -type f -print0};
my @found = grep { my $text = Test::Kiro::slurp($_); grep { index($text, $_) >= 0 } $good, $mine, $odd } grep { !m{/logs/sim\.} } @files;
is_deeply(\@found, [], 'no key in a file');
cmp_ok(scalar @files, '>', 2, 'which were looked at');
$t->stop;

# --- configurations -----------------------------------------------------------------------------------------------------

sub config {
    my ($name, $re, $http) = @_;
    my $c = Test::Kiro->new(conf => $http, sim => 0);
    my ($status, $words) = $c->test_config;
    if ($re) { ok($status && $words =~ $re, $name) or diag($words) }
    else     { is($status, 0, $name) or diag($words) }
    $c->{stopped} = 1;
    return;
}
my $none = 'kiro_account a { endpoint http://127.0.0.1:1; }';
config('no credential, used', qr/kiro_account "a" of .* has no credential, but "kiro_pass a" in location "\/v1\/" needs one/,
    "$none server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass a; } }");
config('no credential, not used', qr/kiro_account "a" has no credential, add one of/, "$none server { listen 127.0.0.1:%%PORT%%; }");
config('no credential, used by callers', undef, "$none server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass a; kiro_auth passthrough; } }");
config('... by inheritance', undef, "$none kiro_auth passthrough; server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass a; } }");
config('... from a variable', undef, "$none server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass a; kiro_auth \$arg_k; } }");
config('both uses', qr/location "\/w\/" needs one/,
    "$none server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass a; kiro_auth passthrough; } location /w/ { kiro_pass a; } }");
config('client keys', qr/cannot be used with client keys/,
    "$none server { listen 127.0.0.1:%%PORT%%; kiro_client_key k; location /v1/ { kiro_pass a; kiro_auth passthrough; } }");
config('a literal key', qr/"kiro_auth" directive must be "account", "passthrough" or a variable/,
    "$none server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass a; kiro_auth ksk_x; } }");
config('twice', qr/is duplicate/,
    "$none server { listen 127.0.0.1:%%PORT%%; location /v1/ { kiro_pass a; kiro_auth account; kiro_auth account; } }");

done_testing;
