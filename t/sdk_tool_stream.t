use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;

# The real SDKs with calls that come as they are written, that break off, and that stand in the text.

my $node = node(18);
my $t = gateway(location => 'kiro_tool_stream incremental; kiro_retry_delay 10ms;')->start;
script($t, $node, 'tool_stream', min => 60);
accepted($t);
$t->done;
