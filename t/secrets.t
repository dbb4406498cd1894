use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep);
use Test::Kiro;

# Nothing that nginx writes or shows has a secret: logs of every level, answers,
# metrics, process titles, temporary files, and the core dump of a worker that dies.

my $true  = JSON::PP::true;
my $cores = do { my $p = Test::Kiro::slurp('/proc/sys/kernel/core_pattern'); chomp $p; $p =~ m{^core(?:\.%p)?$} };
my $debug = qx{${\Test::Kiro::nginx_binary()} -V 2>&1} =~ /--with-debug/;

# Every text of the simulator's files that is secret, and the tokens it has issued.
sub secrets {
    my ($t) = @_;
    $t->_learn_secrets;
    for my $file (glob("$t->{dir}/sim/*.json"), glob("$t->{dir}/state/*.json")) {
        my $text = Test::Kiro::slurp($file);
        $t->secret($1) while $text =~ /"(?:access_?token|refresh_?token|client_?secret)"\s*:\s*"([^"]{8,})"/gi;
    }
    $t->secret(map { ($_->{headers}{authorization} // '') =~ /^Bearer (\S+)/ } @{ $t->sim(GET => 'log') });
    return grep { length >= 8 } keys %{ $t->{secrets} };
}

# The memory in a core dump. Its notes have the registers, and with them up to 64
# bytes of what was copied last.
sub memory {
    my ($core) = @_;
    my ($at, $size, $n) = (unpack('Q<', substr $core, 32, 8), unpack 'v2', substr $core, 54, 4);
    for my $i (0 .. $n - 1) {
        my $head = substr $core, $at + $i * $size, $size;
        my ($type, $offset, $length) = (unpack('V', $head), unpack('Q<', substr $head, 8, 8), unpack 'Q<', substr $head, 32, 8);
        substr $core, $offset, $length, "\0" x $length if $type == 4;
    }
    return $core;
}

# Which secrets are in a text; a part of one is enough.
sub found {
    my ($text, @secrets) = @_;
    return grep { my $part = substr $_, int(length($_) / 3), 32; index($text, $part) >= 0 } @secrets;
}

sub clean {
    my ($name, $text, @secrets) = @_;
    my @leaks = map { substr($_, 0, 10) . '...' } found($text, @secrets);
    return is("@leaks", '', "$name: no secret");
}

for my $login (qw(api_key_file credentials_file oidc refresh_token_file)) {
    my $t = Test::Kiro->new(
        login => $login, sim => ['--expired'], key => 'client-key-SECRET-0123456789abcdef', workers => 2,
        allow => qr/exited on signal|refuses the API key|log in again/, scheme => 'https',
        account => 'token_timeout 3s;',
        main => $cores ? "worker_rlimit_core 2g;\nworking_directory %%DIR%%/files;" : '',
        http => $debug ? 'error_log %%DIR%%/logs/debug.log debug;' : '',
        vars => { RELOADED => '' },
    );
    $t->start_sim;
    $t->start_nginx;
    my @bodies;
    my $note = sub { push @bodies, join "\n", $_->{head} // '', $_->{body} // '' for @_; return };

    # Good and bad days: a refresh, refusals with the token in their words, faults of the auth host.
    $note->($t->openai("knot of secrets $login"), $t->anthropic("another knot $login", stream => 1));
    $note->($t->get('/v1/models'), $t->get('/health'));
    $note->($t->post('/v1/chat/completions', '{"model": broken'));
    $note->($t->openai('a stranger', headers => [ Authorization => 'Bearer stranger-SECRET-key-0123456789' ]));
    $t->secret('stranger-SECRET-key-0123456789');
    if ($login ne 'api_key_file') {
        $t->sim(POST => 'auth', { plan => [ { status => 500 } ] });
        $t->sim(POST => 'tokens', { revoke_access => $true });
        $note->($t->openai("refreshed $login", timeout => 60));
        $t->reload;
        $note->($t->openai("reloaded $login"));
    }
    my @secrets = secrets($t);
    cmp_ok(scalar @secrets, '>=', 2, "$login: there are secrets to look for");

    for my $pid ($t->{nginx_pid}, $t->workers) {
        clean("$login, process $pid, $_", Test::Kiro::slurp("/proc/$pid/$_"), @secrets) for qw(cmdline environ comm);
    }
    my $zone = found(Test::Kiro::slurp("$t->{dir}/state/main.json"), @secrets);
    is($zone ? 1 : 0, $login eq 'api_key_file' ? 0 : 1, "$login: what is looked for can be found") if $login ne 'api_key_file';

    if ($cores && !$ENV{TEST_KIRO_PATIENCE}) {

        # Idle, then in the middle of requests and of a refresh.
        for my $case ('idle', 'busy') {
            my @x;
            if ($case eq 'busy') {
                if ($login ne 'api_key_file') {
                    $t->sim(POST => 'tokens', { revoke_access => $true });
                    $t->sim(POST => 'auth', { plan => [ { hold => 'core' } ] });
                }
                @x = map { $t->openai_x(scripted({ hold => 'core', words => 3 }), stream => 1) } 1 .. 8;
                $t->turn(0.5, @x);
            }
            @secrets = secrets($t);
            my @service = grep { $_ !~ /^(?:client-key|stranger)/ } @secrets;
            for my $pid ($t->workers) {
                kill SEGV => $pid;
                my $file;
                ok(Test::Kiro::wait_for(20, sub {
                    return 0 if grep { $_ == $pid } $t->workers;
                    ($file) = glob "$t->{dir}/files/core*";
                    return $file && $t->grep_log(qr/process $pid exited on signal 11 \(core dumped\)/);
                }), "$login, $case: a worker leaves a core dump") or next;
                my $core = memory(Test::Kiro::slurp($file));
                rename $file, "$t->{dir}/files/seen.$case.$pid";
                cmp_ok(length $core, '>', 100_000, "$login, $case: with something in it");
                ok(index($core, 'kiro_account') >= 0, "$login, $case: of the module");
                clean("$login, $case: core dump of $pid", $core, @service);
                unlink "$t->{dir}/files/seen.$case.$pid" unless $ENV{TEST_KIRO_LEAVE};
            }
            $t->sim(POST => 'release');
            $_->leave for grep { !$_->{done} } @x;
            $t->openai_object($t->openai("after the $case core of $login", timeout => 60), "$login, $case: the next worker serves");
        }
    }

    # Hosts that say the token in their answers.
    my ($seen) = reverse $t->seen;
    my ($token) = $seen->{headers}{authorization} =~ /^Bearer (\S+)/;
    $note->($t->openai(scripted({ status => 400, reason => undef, message => "bad token $token" })));
    $note->($t->openai(scripted({ status => 500, raw_body => "oh, $token" }, { status => 400, raw_body => $token })));
    if ($login ne 'api_key_file') {
        $t->sim(POST => 'auth', { plan => [ { status => 500, raw_body => qq({"error":"$token"}) }, { status => 400, error => 'slow_down', error_description => $token } ] });
        $t->sim(POST => 'tokens', { revoke_access => $true });
        $note->($t->openai("refreshed $login", timeout => 60));
        $t->reload;
        $note->($t->openai("reloaded $login"));
        $t->sim(POST => 'tokens', { revoke_access => $true });
        $note->($t->openai("refreshed again $login"));
    }

    @secrets = secrets($t);
    $t->stop_nginx;
    my @files = grep { -f } map { glob "$t->{dir}/$_" } qw(logs/error.log logs/debug.log logs/access.log logs/nginx.out nginx.conf temp/*/* temp/*/*/* temp/*/*/*/*);
    for my $file (@files) {
        my $short = $file =~ s{^\Q$t->{dir}\E/}{}r;
        my @these = $short eq 'nginx.conf' ? grep { !/^client-key/ } @secrets : @secrets;

        # nginx itself shows the client's headers at debug level
        @these = grep { !/^(?:client-key|stranger)/ } @these if $short eq 'logs/debug.log';
        clean("$login, $short", Test::Kiro::slurp($file), @these);
    }
    clean("$login, answers", join("\n", @bodies), @secrets);
    for my $file (glob("$t->{dir}/state/*"), glob("$t->{dir}/state/.[!.]*")) {
        is(sprintf('%03o', (stat $file)[2] & 0777), '600', "$login: " . $file =~ s{.*/}{}r . ' is its owner\'s');
    }
    is(sprintf('%03o', (stat "$t->{dir}/state")[2] & 0777), '700', "$login: so is the directory");
    $t->stop;
}

note 'core dumps are not looked at: kernel.core_pattern sends them elsewhere' unless $cores;

done_testing;
