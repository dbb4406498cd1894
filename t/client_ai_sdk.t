use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;

# The AI SDK of Vercel with its providers for chat, Responses and messages.

my $node = node(18);
my $t = gateway()->start;
script($t, $node, 'ai_sdk', min => 100);
accepted($t);
$t->done;
