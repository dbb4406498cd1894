use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use Test::More;
use Test::Kiro;
use Test::Kiro::Provider;
use Test::Kiro::SSE qw(check_anthropic);

# The configurations of conf/examples, with the places of this machine in them, serve requests.

my $root = Test::Kiro::root();

# What makes the simulator the service.
my $hosts = ' ssl_trusted_certificate %%CA%%; ssl_name localhost; endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; management_endpoint %%ENDPOINT%%;';

# What an example names => what is there instead.
my @places = (
    [ qr{\b127\.0\.0\.1:8000\b}                           => '127.0.0.1:%%PORT%%' ],
    [ qr{\blisten\s+\K443\b}                              => '127.0.0.1:%%PORT%%' ],
    [ qr{/etc/nginx/kiro/api-key;}                        => '%%API_KEY_FILE%%;' ],
    [ qr{/etc/nginx/kiro/other-key\.conf\b}               => '%%FILES%%/other-key.conf' ],
    [ qr{\b127\.0\.0\.1:8080\b}                           => '127.0.0.1:%%OTHER%%' ],
    [ qr{/etc/nginx/kiro/(?:kiro-auth-token|alice)\.json} => '%%CREDENTIALS%%' ],
    [ qr{/etc/nginx/kiro/bob\.json}                       => '%%BUILDER%%' ],
    [ qr{/etc/nginx/kiro/keys\b}                          => '%%FILES%%/keys' ],
    [ qr{/etc/nginx/kiro/callers\.map\b}                  => '%%FILES%%/callers.map' ],
    [ qr{/etc/ssl/}                                       => '%%FILES%%/' ],
    [ qr{/var/www/}                                       => '%%FILES%%/' ],
    [ qr{/var/lib/nginx/kiro\b}                           => '%%STATE%%' ],
    [ qr{/var/log/nginx/}                                 => '%%DIR%%/logs/' ],
    [ qr{\blog_format \Kkiro\b}                           => 'mine' ], # the harness has a "kiro"
    [ qr{/kiro\.log \Kkiro;}                              => 'mine;' ],
    [ qr{\bkiro_account \w+ \{\K}                         => $hosts ],
);
my @people = qw(alice bob carol guest);
my %served;

# "edit": changes the text; "vars": more places.
sub example {
    my ($name, %o) = @_;
    my $text = Test::Kiro::slurp("$root/conf/examples/$name.conf");
    my ($http) = $text =~ /^http \{\n(.*)^\}/ms or return fail("$name: an http block");
    $served{$name} = 1;
    for (@places) {
        my ($from, $to) = @$_;
        $http =~ s/$from/$to/g;
    }
    my @left = grep { !/^\s*#/ && m{\s/(?:etc|var|usr)/} } split /\n/, $http;
    is("@left", '', "$name: every place is known here");
    my $edit = delete $o{edit};
    $http = $edit->($http) if $edit;
    my $t = Test::Kiro->new(conf => $http . (delete $o{more} // ''), %o);
    my $other = $t->{other} = Test::Kiro::Provider->new($t);
    $t->{vars} = { OTHER => $other->port, %{ $o{vars} // {} } };
    my $files = "$t->{dir}/files";
    Test::Kiro::spew("$files/other-key.conf", "proxy_set_header Authorization \"Bearer other-SECRET\";\n", 0600);
    Test::Kiro::spew("$files/keys", join '', map { "$_:" . sha256_hex("sk-$_") . "\n" } @people);
    if ($http =~ m{example\.com\.pem}) {
        system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=example.com -addext 'subjectAltName=DNS:*.example.com' "
            . "-keyout $files/example.com.key -out $files/example.com.pem >/dev/null 2>&1") == 0 or fail('openssl');
    }
    $t->start_sim;
    Test::Kiro::spew("$files/callers.map", "alice $t->{simulator}{api_key};\n", 0600);
    my ($status, $out) = $t->test_config;
    is($status, 0, "$name: nginx -t") or diag $out;
    $t->start_nginx;
    return $t;
}

# A log of the example's own, when it has that many lines.
sub logged {
    my ($t, $lines) = @_;
    Test::Kiro::wait_for(5 * Test::Kiro::patience(), sub { $lines <= (() = Test::Kiro::slurp("$t->{dir}/logs/kiro.log") =~ /\n/g) });
    return Test::Kiro::slurp("$t->{dir}/logs/kiro.log");
}

# By curl, with TLS: {status, version, body}.
sub curl {
    my ($t, $host, $path, $data, @more) = @_;
    Test::Kiro::spew("$t->{dir}/files/body", json($data)) if $data;
    my @body = $data ? ('-H', 'Content-Type: application/json', '--data-binary', "\@$t->{dir}/files/body") : ();
    open my $fh, '-|', qw(curl -sS -m 30 --noproxy *), '--cacert', "$t->{dir}/files/example.com.pem", '--resolve', "$host:$t->{port}:127.0.0.1",
        '-w', '\n%{http_code} %{http_version}', @body, @more, "https://$host:$t->{port}$path" or die "curl: $!";
    local $/;
    my $out = <$fh>;
    close $fh;
    my ($body, $status, $version) = $out =~ /\A(.*)\n(\d+) (\S+)\z/s;
    return { status => $status, version => $version, body => $body };
}

sub bearer { return (headers => [ Authorization => "Bearer $_[0]" ]) }

# --- minimal ---------------------------------------------------------------

my $t = example('minimal', login => 'api_key_file');
$t->openai_object($t->openai('hello', bearer('change-me')), 'minimal');
is($t->openai('hello', bearer('other'))->{status}, 401, 'minimal: another key');
is($t->get('/health')->{status}, 200, 'minimal: health');
$t->stop;

# --- login -----------------------------------------------------------------

$t = example('login', login => 'credentials_file');
$t->openai_object($t->openai('hello', bearer('sk-alice')), 'login');
is($t->openai('hello', bearer('sk-eve'))->{status}, 401, 'login: a key that is in no file');
is($t->get('/health')->{status}, 200, 'login: health');
like(logged($t, 2), qr/ alice 200 openai claude-sonnet-4\.5 in=\d+ out=\d+ credits=\S+ account=ok error=-\n/, 'login: the log');
$t->stop;

# --- a team: budgets, and the bill -----------------------------------------

# The example's numbers would take long to spend.
$t = example('team', edit => sub { $_[0] =~ s{tokens=\S+/hour tokens=\S+/day credits=\S+/day}{tokens=100k/hour tokens=100k/day credits=10/day}r });
sleep 1 while 3600 - time % 3600 < 30;    # budgets begin anew
my %want;

sub billed {
    my ($who, $plan, $name) = @_;
    my $r = $t->openai(scripted($plan), bearer("sk-$who"));
    my $usage = $t->openai_object($r, "team: $name")->{usage};
    $want{$who}{requests}++;
    $want{$who}{in}  += $usage->{prompt_tokens};
    $want{$who}{out} += $usage->{completion_tokens};
    $want{$who}{credits} += $plan->{credits};
    Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $t->get('/metrics')->{body} =~ /^kiro_open_requests 0$/m });
    return;
}
billed('alice', { words => 4, credits => 0.125 }, 'alice');
billed('bob', { words => 4, credits => 2.5 }, 'bob');
billed('alice', { words => 8, credits => 9.875 }, 'alice spends what she has');
my $r = $t->openai(scripted({ words => 4 }), bearer('sk-alice'));
$t->error_shape($r, 'openai', 429, 'team: her budget is spent');
cmp_ok($r->header('retry-after'), '>', 0, 'team: until the day ends');
$want{alice}{requests}++;
billed('bob', { words => 4, credits => 0.5 }, 'others go on');
is($t->openai('hello', bearer('sk-eve'))->{status}, 401, 'team: a key that is in no file');
$t->error_shape($t->openai(scripted('500', '500', '500', '500', '500'), bearer('sk-bob')), 'openai', 502, 'team: a request that fails');
$want{bob}{requests}++;
is($t->get('/health')->{status}, 200, 'team: health');
like($t->get('/metrics')->{body}, qr/^kiro_requests_total\{.*status="429".*\} 1$/m, 'team: metrics');

my ($line) = Test::Kiro::slurp("$root/docs/operations.md") =~ m{^## Billing\n.*?```sh\n(.*?)```}ms;
ok(length($line // ''), 'there is a line for the bill');
is(scalar(() = logged($t, 7) =~ /\n/g), 7, 'the log is written, and nobody else is in it');
$line =~ s{/var/log/nginx/}{$t->{dir}/logs/};
my $bill = eval { json(scalar qx{$line}) };
is_deeply($bill, { %want, '' => { requests => 1, in => 0, out => 0, credits => 0 } }, 'the bill') or diag $line, explain $bill;
$t->stop;

# --- beside other sites ----------------------------------------------------

# The login service: it knows alice, has heard of bob, and tells who it is by a header.
$t = example('existing-sites', vars => { OTHER => Test::Kiro::free_port() }, more => <<'EOT');
    map $http_authorization $who { "Bearer login-SECRET-alice" alice; "Bearer login-SECRET-bob" bob; }
    server {
        listen 127.0.0.1:%%OTHER%%;
        access_log %%DIR%%/logs/login.log;
        location /check {
            if ($http_x_original_uri !~ ^/v1/) { return 500; }
            if ($who = "") { return 401; }
            if ($who = bob) { return 403; }
            add_header X-User $who;
            return 204;
        }
    }
EOT
mkdir "$t->{dir}/files/$_" and Test::Kiro::spew("$t->{dir}/files/$_/index.html", "$_\n", 0644) for qw(www intranet);
is(curl($t, "$_.example.com", '/')->{body}, "$_\n", "existing-sites: $_ is as it was") for qw(www intranet);
for my $api (qw(openai anthropic)) {
    my ($path, $ask) = $api eq 'openai' ? ('/v1/chat/completions', sub { $t->openai_body(@_) }) : ('/v1/messages', sub { $t->anthropic_body(@_) });
    my $as = sub { my ($who) = @_; curl($t, 'intranet.example.com', $path, $ask->(scripted({ text => "for $api" })), '-H', "Authorization: Bearer login-SECRET-$who") };
    my $r = $as->('alice');
    is($r->{status}, 200, "existing-sites, $api: who may");
    like($r->{body}, qr/for $api/, '... is served');
    for my $case ([ eve => 401 ], [ bob => 403 ]) {
        my ($who, $status) = @$case;
        $r = $as->($who);
        is($r->{status}, $status, "existing-sites, $api: who may not, $status");
        ok(length(json($r->{body})->{error}{message} // ''), '... in the shape of the API');
    }
}
is($t->stats->{generate}, 2, 'existing-sites: nothing else reached the service');
is(curl($t, 'www.example.com', '/v1/models')->{status}, 404, 'existing-sites: the other site has no such thing');
is(curl($t, 'intranet.example.com', '/login')->{status}, 404, 'existing-sites: the check is nobody\'s page');
my $mine = logged($t, 6);
is(scalar(() = $mine =~ / alice 200 \w+ claude-sonnet-4\.5 in=\d+ out=\d+ /g), 2, 'existing-sites: its own log, with who it was') or diag $mine;
is(scalar(() = $mine =~ /\n/g), 6, '... and nothing of the others');
is(scalar(() = Test::Kiro::slurp("$t->{dir}/logs/access.log") =~ /chat/g), 0, '... nor it in theirs');
$t->stop;

# --- accounts by a map -----------------------------------------------------

$t = example('accounts-by-map');
my $i = $t->{simulator};
my %of = (alice => 'alice', bob => 'bob', carol => 'common');
my %sent;
for my $who (sort keys %of) {
    $t->openai_object($t->openai("hello from $who", bearer("sk-$who")), "accounts-by-map: $who");
    $sent{$who} = ($t->seen)[-1]{headers}{authorization};
}
is($sent{carol}, "Bearer $i->{api_key}", 'accounts-by-map: the common account');
is(scalar keys %{ { reverse %sent } }, 3, 'accounts-by-map: each with a login of its own');
for my $who (qw(alice bob)) {
    my $file = { alice => $i->{credentials}, bob => $i->{builder} }->{$who};
    is($sent{$who}, 'Bearer ' . json(Test::Kiro::slurp($file))->{accessToken}, "accounts-by-map: $who\'s");
}
is($t->openai('hello', bearer('sk-guest'))->{status}, 403, 'accounts-by-map: one who has none');
is($t->openai('hello', bearer('sk-eve'))->{status}, 401, 'accounts-by-map: an unknown key');
$mine = logged($t, 5);
like($mine, qr/ $_ $of{$_} 200 /, "accounts-by-map: $_ in the log") for sort keys %of;
is($t->stats->{generate}, 3, 'accounts-by-map: nothing else reached the service');
$t->stop;

# --- HTTP/2 ----------------------------------------------------------------

my $features = qx{curl --version 2>/dev/null};
my $new = Test::Kiro::nginx_version() >= 1_025_001;
$t = example('http2', edit => sub { $new ? $_[0] =~ s/ ssl http2;/ ssl; http2 on;/r : $_[0] });
SKIP: {
    skip 'no curl with HTTP/2', 5 unless $features =~ /\bHTTP2\b/;
    my @alice = ('-H', 'Authorization: Bearer sk-alice');
    my $r = curl($t, 'ai.example.com', '/v1/chat/completions', $t->openai_body(scripted({ words => 5 })), @alice);
    is("$r->{status} $r->{version}", '200 2', 'http2: an answer');
    $r = curl($t, 'ai.example.com', '/v1/messages', $t->anthropic_body(scripted({ words => 5 }), stream => JSON::PP::true), @alice);
    is("$r->{status} $r->{version}", '200 2', 'http2: a stream');
    is_deeply(check_anthropic($r->{body})->{faults}, [], '... whole');
    is(curl($t, 'ai.example.com', '/v1/models')->{status}, 401, 'http2: without a key');
    is(curl($t, 'ai.example.com', '/v1/models', undef, '--http1.1', @alice)->{version}, '1.1', 'http2: clients without it');
}
$t->stop;
if ($new) {
    # as it stands it works as well
    my $old = example('http2', allow => qr/the "listen ... http2" directive is deprecated/);
    is(curl($old, 'ai.example.com', '/v1/models', undef, '-H', 'Authorization: Bearer sk-bob')->{status}, 200, 'http2: the older form');
    $old->stop;
}

# --- a fallback ------------------------------------------------------------

$t = example('fallback', allow => qr{kiro_account "\w+": its quota});
$t->openai_object($t->openai(scripted('500', 'ok'), bearer('sk-alice')), 'fallback: a retry comes first');
my $last = $t->openai(scripted('quota'), bearer('sk-bob'));
is(json($last->{body})->{from}, 'elsewhere', 'fallback: the other provider') or diag($last->{body});
my ($asked) = $t->{other}->requests;
is($asked->{headers}{authorization}, 'Bearer other-SECRET', 'fallback: with its own key');
is($asked->{headers}{'x-api-key'}, undef, '... and no other');
$t->openai(scripted('quota'), headers => [ 'x-api-key' => 'sk-alice' ]);
is(scalar(grep { json($_->{headers}) =~ /sk-/ } $t->{other}->requests), 0, '... whichever header it came in');
my $log = logged($t, 3);    # of several workers: in any order
like($log, $_, 'fallback: the log') for qr/ alice 200 fallback=- /, qr/ bob 200 fallback=quota /;
$t->stop;

# --- callers' own keys -----------------------------------------------------

$t = example('passthrough');
my $key = $t->{simulator}{api_key};
$t->openai_object($t->openai('hello', bearer($key)), 'passthrough: an own key');
is($t->openai('hello', bearer('ksk_SECRETunknown'))->{status}, 401, 'passthrough: a key that the service does not know');
is($t->openai('hello', bearer('sk-alice'))->{status}, 401, 'passthrough: no Kiro key');
my @team = (path => '/team/v1/chat/completions');
$t->openai_object($t->openai('hello', @team, bearer('sk-alice')), 'passthrough: the key that is set up for a client');
is($t->openai('hello', @team, bearer('sk-bob'))->{status}, 401, 'passthrough: a client without one');
is($t->openai('hello', @team, bearer($key))->{status}, 401, 'passthrough: a Kiro key is none of this gateway');
$log = logged($t, 6);
like($log, qr/ key:[0-9a-f]{16} 200 /, 'passthrough: the log has the fingerprint');
is(index($log, $key), -1, '... and not the key');
$t->stop;

# --- the steps of the README -----------------------------------------------

my $readme = Test::Kiro::slurp("$root/README.md");
my ($steps) = $readme =~ /^## In an existing nginx\n(.*?)^## /ms;
my ($account, $location) = $steps =~ /^```nginx\n(.*?)^```/msg;
my ($keys) = $steps =~ /^```bash\n(.*?)^```/ms;
my ($ask) = $steps =~ /^(curl .*?)^```/ms;
my $conf = "$account server { listen 127.0.0.1:%%PORT%%; $location }";
$conf =~ s{/etc/nginx/kiro}{%%FILES%%/kiro}g;
$conf =~ s/kiro_account main \{\K/$hosts/;
$t = Test::Kiro->new(conf => $conf)->start_sim;
$keys =~ s{/etc/nginx/kiro}{$t->{dir}/files/kiro}g;
$keys =~ s/ksk_\.\.\./$t->{simulator}{api_key}/;
Test::Kiro::spew("$t->{dir}/files/keys.sh", "set -e\nsudo() { \"\$\@\"; }\n$keys");
my ($made) = qx{bash $t->{dir}/files/keys.sh} =~ /^(sk-\w{48})$/m;
ok($made, 'README: a key for clients');
$t->secret($made)->start_nginx;
$ask =~ s{https://your-host}{http://127.0.0.1:$t->{port}};
my $answer = qx{KEY=$made; ( $ask ) 2>/dev/null};
like($answer, qr/You said: Hello/, 'README: an answer') or diag $answer;
is($t->openai('hello')->{status}, 401, 'README: nobody else');
$t->stop;

is_deeply([ sort keys %served ], [ sort map { m{([^/]+)\.conf$} } glob "$root/conf/examples/*.conf" ], 'no example is left out');

done_testing;
