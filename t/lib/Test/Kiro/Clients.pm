package Test::Kiro::Clients;

# Real clients for the tests: the SDKs of t/clients and the command line
# programs of t/clients/cli. What the network or this machine cannot give is
# skipped, with the reason in the plan and on standard error.
#
#   my $node = node(20);                        # skips the test without one
#   script($t, $node, 'openai', min => 30);     # t/clients/openai.mjs
#   my $claude = program('claude-code', '@anthropic-ai/claude-code-linux-%s/claude');
#   my $r = run_client($t, [$claude, '-p', 'hello'], env => {...}, seconds => 60);
#
# With TEST_KIRO_CAPTURE=DIR what the clients sent is kept there.

use strict;
use warnings;

use Exporter qw(import);
use Fcntl    qw(:flock);
use MIME::Base64 ();
use File::Copy ();
use File::Path ();
use POSIX qw(WNOHANG);
use Test::More ();
use Time::HiRes qw(time sleep);

use Test::Kiro;

our @EXPORT = qw(node script program run_client gateway accepted says results);

my $root  = Test::Kiro::root();
my $dir   = "$root/t/clients";
my $cache = $ENV{TEST_KIRO_CLIENTS} || "$root/build/clients";

# The words of this machine's architecture in package names.
my %ARCH = (x86_64 => 'x64', aarch64 => 'arm64');
my $arch = $ARCH{ (POSIX::uname())[4] };

sub slurp { my ($file) = @_; open my $fh, '<:raw', $file or return ''; local $/; return scalar(<$fh>) // '' }

sub spew { my ($file, $text) = @_; open my $fh, '>:raw', $file or die "$file: $!"; print {$fh} $text; close $fh; return $file }

sub skip_test {
    my ($why) = @_;
    Test::More::diag("SKIPPED: $why");
    Test::More::plan(skip_all => $why);
}

# One process group, ended as a whole: (exit status, or undef after $seconds).
sub supervised {
    my ($seconds, $command, %o) = @_;
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        POSIX::setpgid(0, 0);
        %ENV = %{ $o{env} } if $o{env};
        chdir $o{cwd} if $o{cwd};
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', $o{out};
        if   ($o{err}) { open STDERR, '>',  $o{err} }
        else           { open STDERR, '>&', \*STDOUT }
        { no warnings; exec @$command }
        print STDERR "exec $command->[0]: $!\n";
        POSIX::_exit(127);
    }
    my $deadline = time + $seconds * Test::Kiro::patience();
    my $status;
    while (!defined $status) {
        if    (waitpid($pid, WNOHANG) == $pid) { $status = $? }
        elsif (time > $deadline)               { last }
        else                                   { sleep 0.02 }
    }
    kill KILL => -$pid;
    waitpid $pid, 0 if !defined $status;
    return $status;
}

# npm ci of a folder with package.json and package-lock.json: '' or why not.
sub install {
    my ($from, $to, $seconds) = @_;
    File::Path::make_path($to);
    File::Path::make_path($cache);
    my $log = "$cache/" . ($to =~ s{.*/}{}r) . '.log';
    open my $lock, '>>', "$log.lock" or return "$log.lock: $!";
    flock $lock, LOCK_EX;
    my $done = "$to/node_modules/.installed";
    my $want = slurp("$from/package-lock.json");
    return '' if slurp($done) eq $want;
    unlink $done;
    if ($from ne $to) { File::Copy::copy("$from/$_", "$to/$_") or return "$to/$_: $!" for qw(package.json package-lock.json) }
    my $status = supervised($seconds, [qw(npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)],
        cwd => $to, out => $log);
    return "npm took over $seconds s" if !defined $status;
    return 'npm failed: ' . (slurp($log) =~ s/\s+/ /gr =~ s/(.{200}).*/$1/sr) if $status;
    spew($done, $want) if -d "$to/node_modules";
    return '';
}

sub major { my ($node) = @_; return qx{'$node' --version 2>/dev/null} =~ /^v(\d+)/ ? $1 : 0 }

# A Node of at least this major version, and the SDKs.
sub node {
    my ($least) = @_;
    my ($node) = grep { -x } map { "$_/node" } split /:/, $ENV{PATH};
    if (major($node // '') < $least) {
        my $why = $arch ? install("$dir/cli/node", "$cache/node", 180) : 'no package for this architecture';
        my $other = "$cache/node/node_modules/node-linux-" . ($arch // '') . '/bin/node';
        skip_test("needs Node $least, and installing that failed: " . ($why || "npm brought none")) if $why || major($other) < $least;
        $node = $other;
    }
    my $why = install($dir, $dir, 300);
    Test::More::BAIL_OUT("the SDKs of t/clients: $why") if $why;
    return $node;
}

# A program of t/clients/cli by a pattern, installed when it is not there.
sub program {
    my ($name, $path) = @_;
    skip_test("$name: no package for this architecture") unless $arch;
    $path = "$cache/$name/node_modules/" . $path =~ s/%s/$arch/r;
    skip_test("$name: there is no npm to install it") unless grep { -x "$_/npm" } split /:/, $ENV{PATH};
    my $why = install("$dir/cli/$name", "$cache/$name", 240);
    skip_test("$name could not be installed: $why") if $why;
    my ($file) = grep { -x } glob $path;
    if (!$file) {
        # The packages are optional ones of each architecture: npm does not fail for them.
        unlink "$cache/$name/node_modules/.installed";
        skip_test("$name: npm brought no $path");
    }
    return $file;
}

# Test::Kiro for clients: long bodies stay in memory, and are kept on demand.
sub gateway {
    my (%o) = @_;
    if (my $keep = $ENV{TEST_KIRO_CAPTURE}) {
        my ($name) = $0 =~ m{(\w+)\.t$};
        $o{http} .= qq{log_format sent escape=none '\$request_method \$request_uri \$http_anthropic_beta\\n\$request_body\\n';\n};
        $o{location} .= qq{client_body_buffer_size 8m; client_body_in_single_buffer on; access_log $keep/$name.log sent; access_log %%DIR%%/logs/access.log kiro;\n};
    }
    # A refusal that one script asks for must not stop the next one: t/account_states.t has that.
    return Test::Kiro->new(
        login => 'credentials_file', key => 'sk-client-test', account => 'cool_down off; quota_retry off; suspended_retry off;', %o,
    );
}

# Runs a program in a home of its own: {status (undef: took too long), out, err}.
sub run_client {
    my ($t, $command, %o) = @_;
    my $home = $o{home} // "$t->{dir}/files";
    my %file = map { ($_ => "$t->{dir}/logs/client.$_") } qw(out err);
    my %env  = (PATH => $ENV{PATH}, HOME => $home, TMPDIR => $home, LANG => 'C.UTF-8', TERM => 'dumb', %{ $o{env} // {} });
    # exec takes a text's bytes as perl happens to keep them
    my @bytes = @$command;
    utf8::encode($_) for @bytes;
    my $status = supervised($o{seconds} // 60, \@bytes, cwd => $o{cwd} // $home, env => \%env, %file);
    return { status => $status, map { ($_ => slurp($file{$_})) } keys %file };
}

# A script of t/clients, whose lines become tests.
sub script {
    my ($t, $node, $name, %o) = @_;
    my $r = run_client($t, [$node, "$dir/$name.mjs"], seconds => 180, env => {
        KIRO_TEST_URL => "http://127.0.0.1:$t->{port}", KIRO_TEST_KEY => $t->{key},
        KIRO_TEST_SIM => "http://127.0.0.1:$t->{simulator}{port}",
    });
    my $checks = 0;
    for my $line (split /\n/, $r->{out} . $r->{err}) {
        if    ($line =~ /^ok (.*)/)     { $checks++; Test::More::pass("$name: $1") }
        elsif ($line =~ /^not ok (.*)/) { $checks++; Test::More::fail("$name: $1") }
        else                            { Test::More::diag($line =~ s/^# ?//r) }
    }
    Test::More::is($r->{status}, 0, "$name: the script ended well");
    Test::More::cmp_ok($checks, '>', $o{min} // 1, "$name: it checked something");
    return;
}

# A shell command that prints what the model is to do next.
sub says {
    my ($plan) = @_;
    my $text = MIME::Base64::encode_base64('[[sim:' . Test::Kiro::json($plan) . ']]', '');
    return "echo $text | base64 -d";
}

# The texts of the tool results that came up, by request.
sub results {
    my ($t, $from) = @_;
    my @seen = $t->seen;
    return map {
        my $context = $_->{body}{conversationState}{currentMessage}{userInputMessage}{userInputMessageContext};
        join "\n", map { $_->{text} // Test::Kiro::json($_->{json}) } map { @{ $_->{content} } } @{ $context->{toolResults} // [] };
    } @seen[ ($from // 0) .. $#seen ];
}

# No request was refused by a rule of the service.
sub accepted {
    my ($t, $name) = @_;
    my @refused = map { "$_->{verdict}{rule}: " . ($_->{verdict}{detail} // $_->{verdict}{message} // '') }
        grep { $_->{verdict} && $_->{verdict}{rule} } $t->seen;
    return Test::More::is_deeply(\@refused, [], $name // 'the service refused no request');
}

1;
