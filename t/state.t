use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# A refreshed login survives a restart although its source cannot be written,
# or even read by a worker.

for my $login (qw(credentials_file oidc refresh_token_file)) {
    my $t = Test::Kiro->new(login => $login, sim => ['--expired'], user => 'nobody');
    $t->start_sim;
    my $i = $t->{simulator};
    my %file = (credentials_file => 'credentials', oidc => 'oidc', refresh_token_file => 'refresh_token_file');
    my $source = $i->{ $file{$login} };
    my $before = Test::Kiro::slurp($source);
    chmod 0400, $source;
    chmod 0500, "$t->{dir}/sim";
    $t->start_nginx;

    $t->openai_object($t->openai('hello'), "$login: first request");
    is($t->stats->{refresh}, 1, "$login: one refresh");
    my $state = "$t->{dir}/state/main.json";
    ok(Test::Kiro::wait_for(5, sub { -s $state }), "$login: the state file is there");
    is(sprintf('%04o', (stat $state)[2] & 07777), '0600', "$login: for its owner alone");
    is(sprintf('%04o', (stat "$t->{dir}/state")[2] & 07777), '0700', "$login: and so is the directory");
    is(Test::Kiro::slurp($source), $before, "$login: the source is as it was");

    $t->restart;
    $t->openai_object($t->openai('hello again'), "$login: after a restart");
    is($t->stats->{refresh}, 1, "$login: without another refresh");

    $t->sim(POST => 'tokens', { expire => JSON::PP::true });
    $t->openai_object($t->openai('and again'), "$login: expired after the restart");
    is($t->stats->{refresh}, 2, "$login: the rotated token was good for a refresh");
    is($t->stats->{invalid_grant}, 0, "$login: the old one was never sent");

    # A new login in the source wins over the state.
    if ($login eq 'credentials_file') {
        chmod 0700, "$t->{dir}/sim";
        my $new = $t->sim(POST => 'tokens', { issue => 'social' })->{credentials};
        chmod 0600, $source;
        Test::Kiro::spew($source, json($new));
        chmod 0400, $source;
        $t->reload;
        $t->openai_object($t->openai('who am I'), 'after a new login');
        is(($t->seen)[-1]{headers}{authorization}, "Bearer $new->{accessToken}", 'the new login is used');
        $t->restart;
        $t->openai_object($t->openai('who am I now'), 'and after a restart');
        is(($t->seen)[-1]{headers}{authorization}, "Bearer $new->{accessToken}", 'still');
    }
    chmod 0700, "$t->{dir}/sim";

    # A damaged state file is not the end.
    $t->stop_nginx;
    Test::Kiro::spew($state, '{"broken');
    $t->{source_file} = $t->sim(POST => 'tokens', { issue => 'social' })->{file} if $login eq 'credentials_file';
    if ($login eq 'credentials_file') {
        $t->start_nginx;
        $t->openai_object($t->openai('hello'), 'with a damaged state file');
    }
    $t->stop;
}

done_testing;
