use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy ();
use Test::More;
use Test::Kiro;

# kiro_health: 200 while requests can be served, which module is loaded, and what
# is said when another one stands at its place.

my $hex = qr/[0-9a-f]{40}/;

my $doors = <<'EOT';
        location = /live    { kiro_health live; }
        location = /ready   { kiro_health ready; }
        location = /main    { kiro_health ready main; }
        location = /metrics { kiro_metrics; }
EOT

sub told {
    my ($t, $path, $status, $name) = @_;
    my $r = $t->get($path);
    is($r->{status}, $status, $name);
    is($r->header('cache-control'), 'no-store', "$name: not for caches");
    return json($r->{body});
}

for my $login (qw(api_key_file credentials_file)) {
    my $t = Test::Kiro->new(login => $login, server => $doors)->start;
    my $r = $t->get('/health');
    $t->ok_response($r, 200, qr{^application/json}, "$login: healthy");
    my $h = json($r->{body});
    is($h->{status}, 'ok', 'its status');
    like($h->{version}, qr/^\d+\.\d+\.\d+$/, 'its version');
    like($h->{build}, $hex, 'its build');
    is_deeply($h->{reasons}, [], 'no reasons');
    ok(!exists $h->{accounts}[0]{reason}, 'none of the account');
    my ($line) = $t->grep_log(qr/\[notice\].*ngx_http_kiro_module \Q$h->{version}\E, build \Q$h->{build}\E/);
    ok($line, 'the log names the same');
    my ($info) = $t->get('/metrics')->{body} =~ /^kiro_build_info\{(.*)\} 1$/m;
    is($info, qq{version="$h->{version}",build="$h->{build}",nginx="} . nginx_text() . '"', 'the metric, too');
    $t->_learn_secrets;
    is(scalar(grep { index($r->{body}, $_) >= 0 } keys %{ $t->{secrets} }), 0, 'no secret in it');
    $r = ($t->run($t->exchange('HEAD', '/health')))[0];
    is($r->{status}, 200, 'HEAD');
    is($r->{body}, '', 'without a body');
    is($t->post($_, '{}')->{status}, 405, "POST $_ is refused") for qw(/health /live);
    my $live = told($t, '/live', 200, 'alive');
    is_deeply([ sort keys %$live ], [qw(build status version)], 'which says nothing of accounts');
    $t->stop;
}

sub nginx_text { return qx{${\Test::Kiro::nginx_binary()} -v 2>&1} =~ m{nginx/(\d+\.\d+\.\d+)} ? $1 : '' }

# --- not ready, with reasons

{
    my $t = Test::Kiro->new(
        login => 'credentials_file', sim => ['--expired'], allow => qr/log in again|used up|suspended/, server => $doors . <<'EOT',
        location /spare/    { kiro_pass spare; }
        location = /spare   { kiro_health ready spare; }
EOT
        http => 'kiro_account spare { api_key_file %%API_KEY_FILE%%; endpoint %%ENDPOINT%%; ssl_trusted_certificate %%CA%%; ssl_name localhost; models_interval off; }',
    );
    $t->start_sim;
    $t->sim(POST => 'tokens', { revoke_refresh => JSON::PP::true });
    $t->start_nginx;
    ok(Test::Kiro::wait_for(10, sub { $t->get('/main')->{status} == 503 }), 'a dead login: 503');
    Test::Kiro::wait_for(10, sub { json($t->get('/main')->{body})->{accounts}[0]{reason} eq 'needs_login' });
    my $h = told($t, '/main', 503, 'a dead login');
    is($h->{status}, 'unavailable', 'its status');
    is($h->{accounts}[0]{reason}, 'needs_login', 'the reason, for programs');
    like($h->{reasons}[0], qr/^main: .*log in again/, '... for people');
    ok(!$h->{accounts}[0]{usable}, 'not usable');
    is(scalar @{ $h->{accounts} }, 1, 'of one account');
    $h = told($t, '/ready', 200, 'with another account');
    is($h->{status}, 'degraded', 'degraded');
    is_deeply([ map { $_->{usable} ? 1 : 0 } @{ $h->{accounts} } ], [ 0, 1 ], 'both are told of');
    is(scalar @{ $h->{reasons} }, 1, 'one reason');
    is(told($t, '/spare', 200, 'the other account alone')->{status}, 'ok', 'is fine');
    told($t, '/live', 200, 'nginx lives');

    for my $case ([ '402', 'exhausted', qr/quota is used up/ ]) {
        my ($plan, $reason, $why) = @$case;
        my $r = $t->post('/spare/v1/chat/completions', $t->openai_body(scripted($plan)));
        cmp_ok($r->{status}, '>=', 400, "$reason: the request fails");
        $h = told($t, '/ready', 503, $reason);
        is($h->{status}, 'unavailable', "$reason: nobody is left");
        is($h->{accounts}[1]{reason}, $reason, "$reason: for programs");
        like($h->{reasons}[1], $why, "$reason: for people");
        cmp_ok($h->{accounts}[1]{state_ends_in}, '>', 0, "$reason: and for how long");
        told($t, '/live', 200, "$reason: nginx lives");
    }
    $t->stop;
}

# --- what the configuration test says

for my $bad (
    [ 'kiro_health dead;',       qr/invalid value "dead", it must be "live" or "ready"/ ],
    [ 'kiro_health ready other;', qr/"kiro_health" names the account "other", which is not defined, in .*nginx\.conf:\d+/ ],
    [ 'kiro_health live main;',  qr/takes no account beside "live"/ ],
    [ 'kiro_health; kiro_health live;', qr/is duplicate/ ],
    )
{
    my $t = Test::Kiro->new(server => "location = /bad { $bad->[0] }", allow => $bad->[1]);
    $t->start_sim;
    $t->write_config;
    my ($status, $words) = $t->test_config;
    isnt($status, 0, "$bad->[0] is refused");
    like($words, $bad->[1], '... and why');
    $t->stop;
}

# --- another file where the module was

SKIP: {
    my ($source) = Test::Kiro::load_module() =~ /^load_module (.*);$/ or skip 'the module is a part of nginx', 1;
    my $t = Test::Kiro->new(server => $doors);
    my $file = $t->{module} = "$t->{dir}/kiro.so";
    File::Copy::copy($source, $file) or die "$file: $!";
    $t->start;
    my $build = told($t, '/live', 200, 'a module of its own')->{build};
    $t->reload;
    is(scalar($t->grep_log(qr/\[warn\].*ngx_http_kiro_module/)), 0, 'a reload says nothing');

    # The same with another id.
    my $text = Test::Kiro::slurp($source);
    my $id = pack 'H*', $build;
    my $other = ~$id;
    cmp_ok(index($text, $id), '>', 0, 'the id stands in the file') or skip 'no id', 1;
    substr $text, index($text, $id), length $id, $other;
    Test::Kiro::spew("$file.new", $text, 0644);
    rename "$file.new", $file or die "$file: $!";
    $t->reload;
    $other = unpack 'H*', $other;
    my @warned = $t->grep_log(qr/\[warn\].*"\Q$file\E" was replaced by build $other.* build $build stays until nginx is restarted/);
    is(scalar @warned, 1, 'a replaced file: the log says so');
    is(told($t, '/live', 200, 'after the reload')->{build}, $build, 'the old module stays');
    my (undef, $words) = $t->test_config;
    unlike($words, qr/was replaced/, 'nginx -t is no reload');

    unlink $file;
    kill HUP => $t->{nginx_pid};
    ok(Test::Kiro::wait_for(10, sub { $t->grep_log(qr/\[warn\].*kiro\.so" is gone/) }), 'a reload without a file')
        or diag $t->error_log;
    Test::Kiro::spew($file, $text, 0644);
    $t->restart;
    is(told($t, '/live', 200, 'after a restart')->{build}, $other, 'the new one is loaded');
    $t->stop;
}

Test::More::done_testing();
