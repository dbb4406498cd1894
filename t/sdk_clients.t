use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# The real SDKs of OpenAI and Anthropic, in the versions of t/clients.

my $dir = "$FindBin::Bin/clients";
my $node = (grep { -x "$_/node" } split /:/, $ENV{PATH})[0]
    or BAIL_OUT('no node: ./dev test installs it');
unless (-e "$dir/node_modules/openai/package.json" && -e "$dir/node_modules/\@anthropic-ai/sdk/package.json") {
    system("cd '$dir' && npm ci --no-audit --no-fund --loglevel=error >&2") == 0 or BAIL_OUT('npm ci failed in t/clients');
}

my $t = Test::Kiro->new(login => 'credentials_file', key => 'sk-client-test', sim => ['--expired'])->start;

for my $script (qw(openai anthropic)) {
    local %ENV = (
        PATH => $ENV{PATH}, HOME => $t->{dir},
        KIRO_TEST_URL => "http://127.0.0.1:$t->{port}", KIRO_TEST_KEY => $t->{key},
        KIRO_TEST_SIM => "http://127.0.0.1:$t->{simulator}{port}",
    );
    my $out = qx{node '$dir/$script.mjs' 2>&1};
    my $status = $?;
    my $checks = 0;
    for my $line (split /\n/, $out) {
        if    ($line =~ /^ok (.*)/)     { $checks++; pass("$script: $1") }
        elsif ($line =~ /^not ok (.*)/) { $checks++; fail("$script: $1") }
        else                            { diag $line =~ s/^# ?//r }
    }
    is($status, 0, "$script: the script ended well");
    cmp_ok($checks, '>', 30, "$script: it checked something");
}

is($t->stats->{refresh}, 1, 'one refresh for all of it');

$t->done;
