use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;

# The real SDKs of OpenAI and Anthropic, in the versions of t/clients.

my $node = node(18);
my $t = gateway(sim => ['--expired'], location => 'kiro_early_headers 500ms; kiro_ping_interval 200ms;')->start;

script($t, $node, $_, min => 30) for qw(openai responses anthropic);
is($t->stats->{refresh}, 1, 'one refresh for all of it');
accepted($t);

$t->done;
