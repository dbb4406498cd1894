use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# A worker is killed at each point of a refresh: the login is not lost, requests are
# served again without a person, and a restart finds what the last refresh gave.

plan skip_all => 'there is no shared library to preload beside a sanitizer' if $ENV{ASAN_OPTIONS};

my $lib = Test::Kiro->new(sim => 0)->{dir} . '/kill_at.so';
my $built = qx{cc -shared -fPIC -O1 -o $lib $FindBin::Bin/lib/kill_at.c -ldl 2>&1};
is($?, 0, 'the library that kills') or diag $built;

# name, where, refreshes: at the auth host when all is over
my @points = (
    [ 'before the source is read',         'open %%SOURCE%%',     1 ],
    [ 'before the request',                'connect :%%AUTH%%',   1 ],
    [ 'before the state file is made',     'create main.json',    1 ],
    [ 'before the state is written',       'write main.json',     1 ],
    [ 'before the state is on the disk',   'fsync main.json',     1 ],
    [ 'before the rename',                 'rename main.json',    1 ],
    [ 'after the rename',                  'rename+ main.json',   1 ],
);

for my $workers (1, 2) {
    for my $point (@points) {
        my ($name, $where, $refreshes) = @$point;
        $name = "$workers workers, $name";
        my $t = Test::Kiro->new(
            login => 'credentials_file', workers => $workers, allow => qr/exited on signal 9/,
            account => 'token_timeout 60s; models_interval off;',
        );
        $t->start_sim;
        my $sim = $t->{simulator};
        my $control = "$t->{dir}/kill";
        {
            local %ENV = (%ENV, LD_PRELOAD => $lib, KILL_AT => $control);
            $t->start_nginx;
        }
        $t->openai_object($t->openai('warm'), "$name: a good token") for 1 .. 4 * $workers;
        $t->sim(POST => 'tokens', { expire => JSON::PP::true });

        my ($source) = $sim->{credentials} =~ m{([^/]+)\z};
        my %is = (SOURCE => $source, AUTH => $sim->{tls_port});
        Test::Kiro::spew("$control.new", $where =~ s/%%(\w+)%%/$is{$1}/r, 0644);
        rename "$control.new", $control or die $!;

        my $x = $t->openai_x(scripted({ words => 2 }), timeout => 60);
        $t->run(60, $x);
        ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { !-e $control }), "$name: a worker dies");
        my $r = $t->openai(scripted({ words => 2 }), timeout => 60);
        $t->openai_object($r, "$name: the next request");
        cmp_ok($t->stats->{refresh_ok}, '<=', $refreshes, "$name: no refresh too many");

        # What the files have is enough.
        $t->stop_nginx;
        $t->start_nginx;
        $t->openai_object($t->openai(scripted({ words => 2 }), timeout => 60), "$name: after a restart");
        $t->sim(POST => 'tokens', { expire => JSON::PP::true });
        $t->openai_object($t->openai(scripted({ words => 2 }), timeout => 60), "$name: and after another refresh");
        $t->stop;
    }
}

done_testing;
