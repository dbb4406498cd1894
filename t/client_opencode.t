use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;

# opencode without a person, over each of the three APIs: its tools really run.

my $opencode = program('opencode', 'opencode-linux-%s/bin/opencode');
my $t        = gateway()->start;

sub call { my ($name, %input) = @_; return { name => $name, input => \%input, split => 3 } }
sub bash { return call('bash', command => $_[0], description => 'run') }

for my $api (qw(openai-compatible anthropic openai)) {
    my $home = "$t->{dir}/files/$api";
    mkdir $_ for $home, "$home/.config", "$home/.config/opencode", "$home/work";
    my %limits = (limit => { context => 200_000, output => 8000 });
    open my $config, '>', "$home/.config/opencode/opencode.json" or die "$home: $!";
    print {$config} json({
        autoupdate => JSON::PP::false, share => 'disabled', model => 'local/claude-sonnet-4.5', small_model => 'local/claude-haiku-4.5',
        permission => { edit => 'allow', bash => 'allow' },
        provider => { local => {
            npm => "\@ai-sdk/$api", name => 'Local', options => { baseURL => "http://127.0.0.1:$t->{port}/v1", apiKey => $t->{key} },
            models => { 'claude-sonnet-4.5' => { name => 'Sonnet', %limits }, 'claude-haiku-4.5' => { name => 'Haiku', %limits } },
        } },
    });
    close $config;
    my $run = sub {
        my ($name, @arguments) = @_;
        my $r = run_client($t, [ $opencode, 'run', @arguments ], seconds => 60, home => $home, cwd => "$home/work", env => {
            map({ ("OPENCODE_DISABLE_$_" => 1) } qw(AUTOUPDATE MODELS_FETCH DEFAULT_PLUGINS LSP_DOWNLOAD)),
            map({ ("XDG_" . uc($_) . '_HOME' => "$home/.$_") } qw(config data cache state)),
        });
        is($r->{status}, 0, "$name: it ended well") or diag("$r->{out}\n$r->{err}");
        diag $r->{out}, $r->{err};
        return $r->{out};
    };
    my $seen = () = $t->seen;
    $t->sim(POST => 'plan', { name => "first-$api", plan => { text => 'I run it.', tools => [ bash('echo made-by-$((40+2))') ] } });
    my $out = $run->($api, "[[sim:first-$api]]");
    like($out, qr/made-by-42/, "$api: the last answer");
    diag json([results($t, $seen)]);
}

accepted($t);
$t->done;
