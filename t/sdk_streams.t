use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;

# The real SDKs put the streams of hard and random answers together: what comes out is what the strict readers
# of the core's tests see in them. KIRO_REPLY_SEED chooses others.

my ($program) = grep { defined && -x } $ENV{KIRO_REPLY_CASES_PROGRAM}, map { "$FindBin::Bin/../build/$_/kiro_reply_cases" } qw(asan fast);
plan skip_all => 'kiro_reply_cases is not built: ./dev test builds it' if !defined $program;
my $node = node(18);

my $t = Test::Kiro->new(server => <<'EOT');
        types { application/vnd.amazon.eventstream bin; application/json json; }
        location /cases/     { alias %%FILES%%/cases/; }
        location /openai/    { alias %%FILES%%/cases/; kiro_filter openai; }
        location /anthropic/ { alias %%FILES%%/cases/; kiro_filter anthropic; }
        location /responses/ { alias %%FILES%%/cases/; kiro_filter responses; }
EOT
$t->start_sim;
my $seed = $ENV{KIRO_REPLY_SEED} // 1;
is(system($program, 'streams', "$t->{dir}/files/cases", $seed, 60), 0, "answers from seed $seed");
system 'chmod', '-R', 'a+rX', "$t->{dir}/files/cases";
$t->start_nginx;

script($t, $node, 'streams', min => 300);

$t->done;
