use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;

# LangChain's chat models for OpenAI and Anthropic.

my $node = node(20);
my $t = gateway()->start;
script($t, $node, 'langchain', min => 80);
accepted($t);
$t->done;
