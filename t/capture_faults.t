use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use MIME::Base64 qw(encode_base64);
use Test::Kiro;
use Test::Kiro::Capture qw(captures names_of);
use Test::Kiro::Faults qw(plan_of @before @after $WORDS);

# Captures of everything that the service may do wrong: no secret is in one, in whatever form and however it came there.

my $key = 'client-key-SECRET-faults-0123456789abcdef';
my $p = Test::Kiro::patience();
my $short = 600 * $p;
my %mine = (
    client => $key, cookie => 'cookie/SECRET+value=0123', header => 'set-header-SECRET-"quoted"-0123', proxy => 'proxy-SECRET-p4ssword', arg => 'arg-SECRET-0123456789',
    other => 'x-other-SECRET-key-0123',
);
my %others = (    # of somebody else: only their looks tell
    kiro => 'ksk_SECRET0123456789', jwt => 'eyJhbGciOiJSECRET1NiJ9.eyJzdWIiOiJTRUNSRVQifQ.c2lnbmF0dXJl',
);
my $t = Test::Kiro->new(
    login => 'oidc', key => $key, workers => 2, allow => qr/SSL|certificate/,
    account => 'cool_down off; quota_retry off; suspended_retry off;',
    http => <<"EOT",
    error_log %%DIR%%/logs/error.log warn; # what the service says is there at info
    kiro_capture_path %%DIR%%/captures max_requests=10000 max_size=2g;
    kiro_capture all; kiro_retries 1; kiro_retry_delay 10ms 20ms; kiro_early_headers off;
    kiro_client_key $key tester;
    kiro_set_header X-Gateway-Token 'set-header-SECRET-"quoted"-0123';
    kiro_account proxied { %%SOURCE%% endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; management_endpoint %%ENDPOINT%%; ssl_trusted_certificate %%CA%%;
                           ssl_name localhost; state_path %%STATE%%; proxy http://user:$mine{proxy}\@127.0.0.1:1; }
    kiro_account strange { %%SOURCE%% endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; management_endpoint %%ENDPOINT%%; ssl_name localhost; state_path %%STATE%%; }
    kiro_account refused { %%SOURCE%% endpoint http://127.0.0.1:1; auth_endpoint %%ENDPOINT%%; management_endpoint %%ENDPOINT%%; ssl_trusted_certificate %%CA%%;
                           ssl_name localhost; state_path %%STATE%%; }
    kiro_account caller  { endpoint %%ENDPOINT%%; management_endpoint %%ENDPOINT%%; ssl_trusted_certificate %%CA%%; ssl_name localhost; }
EOT
    server => "location /fast/v1/ { kiro_pass main; kiro_first_token_timeout ${short}ms; kiro_read_timeout ${short}ms; }"
        . ' location /early/v1/ { kiro_pass main; kiro_early_headers 50ms; } location /own/v1/ { set $own ' . $others{kiro} . '; kiro_pass caller; kiro_auth $own; }'
        . join('', map { " location /$_/v1/ { kiro_pass $_; }" } qw(proxied strange refused)),
);
$t->start;
my $dir = "$t->{dir}/captures";

# All that is secret, with what has been issued meanwhile.
my $arn = $t->{simulator}{oidc_profile_arn};
my ($arn_account, $arn_profile) = $arn =~ /:(\d{12}):profile\/(\w+)$/ or die "$arn";
sub secrets {
    my %all = map { $_ => 1 } values %mine;
    for my $text (map { Test::Kiro::slurp($_) } $t->{simulator}{oidc}, glob "$t->{dir}/state/*.json") {
        $all{$1} = 1 while $text =~ /"(?:access_?token|refresh_?token|client_?secret)"\s*:\s*"([^"]{8,})"/gi;
    }
    for my $seen (@{ $t->sim(GET => 'log') }) {
        $all{$1} = 1 if ($seen->{headers}{authorization} // '') =~ /^Bearer (\S+)/;
    }
    $all{"$arn_account:profile"} = 1;
    $all{$arn_profile} = 1;
    return sort keys %all;
}

sub percent { return $_[0] =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger }
sub deep { return json({ text => json({ text => $_[0] }) }) }
sub b64 { return encode_base64($_[0], '') }

# What a prompt, and an answer, may say of them.
my @secrets = secrets();
cmp_ok(scalar @secrets, '>=', 10, 'there are secrets to look for');
sub said { return join ' ', 'They are:', map({ ($_, percent($_), deep($_), b64($_), b64("user:$_"), b64("me:$_")) } @_), map({ ($_, percent($_), deep($_)) } values %others), $arn }
our $said = said(@secrets);

my %DIALECT = (openai => 'chat/completions', anthropic => 'messages', responses => 'responses');
my @modes = map { my $d = $_; map { [ $d, $_ ] } 0, 1 } sort keys %DIALECT;
my ($n, @all) = (0);

sub ask {
    my ($where, $name, @plan) = @_;
    my ($dialect, $stream) = @{ $modes[ $n++ % @modes ] };
    my $make = "${dialect}_x";
    my $prompt = scripted(@plan) . ($n % 3 ? '' : " $said");
    my @key = $n % 2 ? (Authorization => "Bearer $key") : ('X-Api-Key' => $key, Authorization => "Basic " . b64("me:$mine{other}"));
    push @all, { name => $name, http => $t->$make($prompt, stream => $stream, path => "$where/v1/$DIALECT{$dialect}?beta=true&api_key=" . percent($mine{arg}),
        headers => [ @key, Cookie => "sid=$mine{cookie}; theme=dark", 'X-Other-Key' => $mine{other} ]) };
    return;
}

for my $row (@before, @after) {
    my $plan = plan_of($row->[1], 0);
    my $where = $row->[-1] =~ /fast/ ? '/fast' : '';
    ask($where, $row->[0], $plan);
    ask($where, "$row->[0], and then not", $plan, ref $plan ? { text => 'well' } : 'ok');
}
ask("/$_", $_, 'ok') for qw(proxied strange refused own) x 3;

# A service that says them itself: in errors, and in streams over events of any length.
my $html = "<html><body>$said</body></html>";
my @leaky = (
    map({ { status => $_, message => $said } } 400, 403, 409, 429, 500, 503), { status => 429, message => $said, gzip => 1 },
    map({ { status => $_, html => $html } } 200, 302, 403, 502), { status => 400, reason => $said }, { status => 500, raw_body => $said },
    { status => 302, headers => { location => "https://x/$secrets[0]?token=$secrets[1]", 'x-note' => $secrets[2] } },
    map({ { text => $WORDS, exception => { type => $_, message => $said, before => 1 } } } qw(error throttlingError SomethingNew)),
    { text => $WORDS, error_frame => { code => 'Oops', message => $said, after_events => 3 } },
    { events => [ { type => 'invalidStateEvent', payload => { reason => 'X', message => $said } } ], text => $WORDS },
    map({ { text => $said, %$_ } } {}, { piece => 1 }, { piece => 7 }, { chunk => 1 }, { chunk => 13, piece => 3 }, { cut => { bytes => 4000 } }, { corrupt => { event => 9, where => 'message' } }),
);
for my $plan (@leaky) {
    ask('', 'a service that says it', $plan) for 1 .. 3;
    ask('/early', 'a service that says it late', { %$plan, delay_ms => 200 }) if ($plan->{status} // 0) >= 400;
}

# What never gets there.
push @all, map { { name => 'refused here', http => $_ } }
    $t->exchange('POST', '/v1/chat/completions', qq({"model": "x", "messages": "$key"}), headers => [ Authorization => "Bearer $key" ]),
    $t->exchange('POST', '/v1/messages', "{\"$key", headers => [ Authorization => "Bearer $key" ]),
    $t->exchange('GET', "/v1/none?key=$mine{arg}", undef, headers => [ Authorization => "Bearer $key" ]),
    $t->exchange('POST', "/v1/messages/count_tokens?api-key=$mine{arg}", $t->anthropic_body($said), headers => [ 'X-Api-Key' => $key, Cookie => "sid=$mine{cookie}", 'X-Other-Key' => $mine{other} ]),
    $t->exchange('POST', '/v1/messages', $t->anthropic_body('me'), headers => [ 'X-Api-Key' => $mine{other} ]),
    $t->exchange('GET', '/v1/models', undef, headers => [ Authorization => "Bearer $key" ]);

for (my @rest = map { $_->{http} } @all; @rest;) {
    $t->run(60, splice @rest, 0, 24);
}

# A token that is refused in words that have it, and the next one.
for my $try (1 .. 3) {
    $said = said(values %mine, Test::Kiro::slurp("$t->{dir}/state/main.json") =~ /"(?:access_?token|refresh_?token)"\s*:\s*"([^"]{8,})"/gi); # those in use
    ask('', 'a refused token', { status => 401, message => $said }, { text => $said });
    $t->run(60, $all[-1]{http});
    is($all[-1]{http}{status}, 200, "a refused token, $try");
}
is(scalar(grep { !$_->{http}{status} } @all), 0, 'all ' . @all . ' requests have got an answer');

my @captured;
Test::Kiro::wait_for(60 * $p, sub { return 0 unless (my @d = glob "$dir/*-req_*") >= @all; @captured = captures($dir); return 1 });
is(scalar @captured, scalar @all, 'each request is captured') or diag scalar(() = $t->error_log =~ /kiro_capture: .*/g), join "\n", $t->error_log =~ /kiro_capture: .*/g;
ok(!-e "$dir/.unfinished", 'nothing is half');

# --- what is there -----------------------------------------------------------------------------------------------------

my %by = map { $_->{id} => $_ } @captured;
my ($errors, $raws, @wrong) = (0, 0);
for my $x (@all) {
    my $id = $x->{http}->header('request-id') // $x->{http}->header('x-request-id');
    my $c = $by{ $id // '' };
    if (!$c) { push @wrong, "$x->{name}: no capture"; next }
    my %has = map { $_ => 1 } names_of($c);
    my ($error) = $c->{files}{'app_logs.txt'} =~ /\$kiro_error = (\w+)/;
    my $failed = $x->{http}{status} >= 400 || defined $error;
    push @wrong, "$x->{name}: error_info.json" if $failed xor $has{'error_info.json'};
    push @wrong, "$x->{name}: status" if $failed && json($c->{files}{'error_info.json'})->{status_code} != $x->{http}{status};
    push @wrong, "$x->{name}: length of the answer" if length($c->{files}{'response_stream_modified.txt'} // '') != length $x->{http}{body};
    $errors++ if $failed;
    $raws++ if $has{'response_stream_raw.txt'};
}
is_deeply(\@wrong, [], 'each has the files that it should');
cmp_ok($errors, '>', 100, 'there were failures');
cmp_ok($raws, '>', 150, 'and answers of the service');

# --- and what is not -----------------------------------------------------------------------------------------------------

# Text as a reader would put it together again: the strings of a stream's events, one after the other.
sub joined {
    my ($text) = @_;
    my %of;
    while ($text =~ /"(\w+)"\s*:\s*"((?:[^"\\\x00-\x1f]|\\.)*)"/g) {
        $of{$1} .= $2;
    }
    my $all = join "\n", map { $of{$_} } sort keys %of;
    return $all . "\n" . ($all =~ s/\\(?:u00(..)|(.))/defined $1 ? chr hex $1 : $2/ger);
}

@secrets = (secrets(), values %others);
my (%forms, %leaks);
my %foreign = map { $_ => 1 } values %others;
for my $secret (@secrets) {
    my $escaped = substr json([$secret]), 2, -2;
    $forms{$secret}{$_} = 1 for $secret, $escaped, $escaped =~ s{/}{\\/}gr, substr(json([$escaped]), 2, -2), percent($secret), lc(percent($secret)),
        $secret =~ s/(.)/sprintf '%%%02x', ord $1/ger, $secret =~ s/(.)/sprintf '\\u%04x', ord $1/ger;
    for my $front ($foreign{$secret} ? () : 0 .. 2) {
        my $digits = b64('x' x $front . $secret);
        my $part = substr $digits, $front ? 4 : 0, 4 * int((length($secret) - (3 - $front) % 3) / 3);
        $forms{$secret}{$part} = 1 if length $part >= 8;
        $forms{$secret}{ $part =~ tr{+/}{-_}r } = 1 if length $part >= 8;
    }
}
my $any = join '|', map { quotemeta } sort { length $b <=> length $a } map { keys %{ $forms{$_} } } @secrets;
like($said, qr/$any/, 'what is looked for can be found');
like(joined($all[-1]{http}{body} . json({ a => 'They', b => substr $key, 0, 9 }) . json({ b => substr $key, 9 })), qr/$any/, '... over events, too');
my $bytes = 0;
for my $c (@captured) {
    for my $name (names_of($c)) {
        my $text = $c->{files}{$name};
        $bytes += length $text;
        for my $look ($text, joined($text)) {
            $leaks{"$name: $1"} //= "$c->{name}: " . substr($look, $-[0] > 60 ? $-[0] - 60 : 0, 200) if $look =~ /($any)/;
            $leaks{"$name: SECRET"} //= "$c->{name}: " . substr($look, $-[0] > 60 ? $-[0] - 60 : 0, 200) if $look =~ /SECRET/;
        }
    }
}
cmp_ok($bytes, '>', 500_000, "$bytes bytes were searched");
is_deeply([ map { "$_ in $leaks{$_}" } sort keys %leaks ], [], 'no secret in any capture');

$t->done;
