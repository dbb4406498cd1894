use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Connections to the upstream are used again, also after failed attempts.

for my $scheme (qw(https http)) {
    my $t = Test::Kiro->new(scheme => $scheme, workers => 2, account => 'models_interval off;')->start;
    for (1 .. 10) {
        my $r = $t->openai(scripted('500', '429', 'ok'), stream => $_ % 2);
        is($r->{status}, 200, "$scheme: request $_");
    }
    for my $framing (qw(chunked length)) {
        $t->openai_object($t->openai(scripted({ text => 'abc', framing => $framing })), "$scheme, $framing") for 1 .. 5;
    }
    my $s = $t->stats;
    is($s->{generate}, 40, "$scheme: forty upstream requests");
    cmp_ok($s->{connections_accepted}, '<=', 2, "$scheme: on one connection a worker");

    # An answer that ends with its connection is not kept, and nothing breaks.
    $t->openai_object($t->openai(scripted({ text => 'abc', framing => 'close' })), "$scheme, until close");
    $t->openai_object($t->openai(scripted({ text => 'abc', close => JSON::PP::true })), "$scheme, Connection: close");
    $t->openai_object($t->openai('hello'), "$scheme, afterwards");
    $t->stop;
}

done_testing;
