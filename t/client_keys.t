use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use Test::More;
use Test::Kiro;

# Who may use a location: literal keys, named keys, a file of hashes.

my $t = Test::Kiro->new(
    http => 'server { listen 127.0.0.1:%%OPEN%%; location /v1/ { kiro_pass main; } }',
    server => <<'EOT',
        location /two/v1/ {
            kiro_pass main;
            kiro_client_key sk-first-key-0001 anna;
            kiro_client_key sk-second-key-0002 bert;
            kiro_client_key sk-unnamed-key-0003;
        }
        location /file/v1/ {
            kiro_pass main;
            kiro_client_keys %%FILES%%/keys;
        }
        location /both/v1/ {
            kiro_pass main;
            kiro_client_keys %%FILES%%/keys;
            kiro_client_key sk-first-key-0001 anna;
        }
EOT
    vars => { OPEN => Test::Kiro::free_port() },
);
$t->secret(qw(sk-first-key-0001 sk-second-key-0002 sk-unnamed-key-0003 sk-from-file-0004));
Test::Kiro::spew("$t->{dir}/files/keys",
    "# people\n\ncarl:" . sha256_hex('sk-from-file-0004') . "\ndora:" . uc(sha256_hex('sk-from-file-0005')) . "\n");
$t->start;

sub ask {
    my ($where, $api, @headers) = @_;
    return $api eq 'openai'
        ? $t->openai('hello', path => "$where/v1/chat/completions", headers => [@headers])
        : $t->anthropic('hello', path => "$where/v1/messages", headers => [@headers]);
}

my @good = (
    [ '/two',  'sk-first-key-0001',   'anna' ],
    [ '/two',  'sk-second-key-0002',  'bert' ],
    [ '/two',  'sk-unnamed-key-0003', undef ],
    [ '/file', 'sk-from-file-0004',   'carl' ],
    [ '/file', 'sk-from-file-0005',   'dora' ],
    [ '/both', 'sk-from-file-0004',   'carl' ],
    [ '/both', 'sk-first-key-0001',   'anna' ],
);
my $n = 0;
for (@good) {
    my ($where, $key, $name) = @$_;
    for my $api (qw(openai anthropic)) {
        for my $form ([ Authorization => "Bearer $key" ], [ 'x-api-key' => $key ], [ authorization => "bearer $key" ]) {
            my $r = ask($where, $api, @$form);
            is($r->{status}, 200, "$where $api $form->[0] " . ($name // 'unnamed'));
            my $log = $t->last_access(++$n);
            is($log->{client}, $name, '$kiro_client') if defined $name;
        }
    }
}

my @bad = (
    [ '/two', 'no key' ],
    [ '/two',  'a wrong key',           Authorization => 'Bearer sk-first-key-0002' ],
    [ '/two',  'a prefix',              Authorization => 'Bearer sk-first-key-000' ],
    [ '/two',  'a key and more',        Authorization => 'Bearer sk-first-key-00011' ],
    [ '/two',  'an empty bearer',       Authorization => 'Bearer ' ],
    [ '/two',  'another scheme',        Authorization => 'Basic sk-first-key-0001' ],
    [ '/two',  'a wrong x-api-key',     'x-api-key' => 'nonsense' ],
    [ '/two',  'an empty x-api-key',    'x-api-key' => '' ],
    [ '/file', 'a key of another place', Authorization => 'Bearer sk-first-key-0001' ],
    [ '/file', 'the hash itself',       Authorization => 'Bearer ' . sha256_hex('sk-from-file-0004') ],
    [ '/file', 'a very long key',       Authorization => 'Bearer ' . 'x' x 4000 ],
);
for (@bad) {
    my ($where, $what, @h) = @$_;
    for my $api (qw(openai anthropic)) {
        my $r = ask($where, $api, @h);
        my $e = $t->error_shape($r, $api, 401, "$what, $api");
        my $wanted = $api eq 'openai' ? 'code' : 'type';
        is($e->{$wanted}, $api eq 'openai' ? 'invalid_api_key' : 'authentication_error', "$what: $wanted");
        unlike($r->{body}, qr/sk-first|sk-from/, 'no key in the answer');
    }
}

my $before = $t->stats;
is(ask('/two', 'openai', Authorization => 'Bearer no')->{status}, 401, 'refused');
is($t->stats->{generate}, $before->{generate}, 'a refused request never reaches the upstream');

my $r = $t->openai('hello', port => $t->{vars}{OPEN});
is($r->{status}, 200, 'without keys everybody is served');
$r = $t->openai('hello', port => $t->{vars}{OPEN}, headers => [ Authorization => 'Bearer whatever' ]);
is($r->{status}, 200, 'and any key is ignored');

$t->done;
