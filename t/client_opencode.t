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
        return $r->{out};
    };
    # Three steps: two calls at once, one more, then the answer. The plan has a name since opencode quotes what it is given.
    my $last = { reasoning => { text => 'Enough.' }, text => "all done over $api" };
    my $next = { text => 'Now I look.', tools => [ call('read', filePath => "$home/work/file.txt"), bash(says($last)) ] };
    $t->sim(POST => 'plan', { name => "first-$api", plan => {
        reasoning => { text => 'I write it and look at it.' },
        text      => 'I write it.',
        tools     => [ call('write', filePath => "$home/work/file.txt", content => "made by me\n"), bash(says($next)) ],
    } });
    my $seen = () = $t->seen;
    like($run->($api, "[[sim:first-$api]]"), qr/all done over $api/, "$api: the last answer");
    my @results = results($t, $seen);
    is(scalar @results, 4, "$api: a title and three requests");
    is(scalar(grep { /made by me/ } @results), 1, "$api: the file's text went up as a result");

    # The second prompt of the same conversation.
    like($run->("$api, continued", '--continue', '[[sim:words:4]]'), qr/word1 word2 word3 word4/, "$api: the second answer");
    my $state = ($t->seen)[-1]{body}{conversationState};
    is(scalar(map { @{ $_->{assistantResponseMessage}{toolUses} // [] } } @{ $state->{history} }), 4,
        "$api: the calls are in the history");
}

accepted($t);
$t->done;
