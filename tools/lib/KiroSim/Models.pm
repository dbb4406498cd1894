package KiroSim::Models;

# The model catalogue, and what each model takes as additionalModelRequestFields.

use v5.36;
use KiroSim::Json qw(is_string is_number is_int);

sub _enum ($default, @values) { { type => 'string', enum => \@values, default => $default } }

sub _object (%properties) { { type => 'object', properties => \%properties, additionalProperties => !!0 } }

sub _claude ($limit, $effort, $efforts, @thinking) {
    return _object(
        thinking      => _object(type => _enum('adaptive', @thinking), display => _enum('summarized', 'summarized', 'omitted')),
        output_config => _object(effort => _enum($effort, @$efforts)),
        max_tokens    => { type => 'integer', minimum => 1024, maximum => $limit },
    );
}

my $FOUR  = [qw(low medium high max)];
my $FIVE  = [qw(low medium high xhigh max)];
my %SCHEMA = (
    none      => undef,
    claude46  => _claude(64000,  'high',   $FOUR, 'adaptive', 'disabled'),
    claude47  => _claude(128000, 'xhigh',  $FIVE, 'adaptive', 'disabled'),
    claude48  => _claude(128000, 'high',   $FIVE, 'adaptive', 'disabled'),
    opus55    => _claude(128000, 'medium', $FIVE, 'adaptive'),
    sonnet55  => _claude(128000, 'high',   $FIVE, 'adaptive', 'between_tools'),
    gpt       => _object(reasoning => _object(effort => _enum('high', qw(none low medium high xhigh max)))),
);

# id, input window, output limit, credit multiplier, schema, input types
my @TABLE = (
    ['auto',              1_000_000, 64_000,  1.0,  'none',     'TEXT IMAGE'],
    ['claude-opus-5.5',   1_000_000, 128_000, 2.0,  'opus55',   'TEXT IMAGE PDF'],
    ['claude-sonnet-5.5', 1_000_000, 128_000, 1.3,  'sonnet55', 'TEXT IMAGE PDF'],
    ['claude-opus-5',     1_000_000, 128_000, 2.2,  'claude48', 'TEXT IMAGE PDF'],
    ['claude-sonnet-5',   1_000_000, 128_000, 1.3,  'claude48', 'TEXT IMAGE PDF'],
    ['claude-fable-5',    1_000_000, 128_000, 1.0,  'claude48', 'TEXT IMAGE PDF'],
    ['claude-fable-5.1',  1_000_000, 128_000, 1.0,  'claude48', 'TEXT IMAGE PDF'],
    ['claude-opus-4.8',   1_000_000, 128_000, 2.2,  'claude48', 'TEXT IMAGE PDF'],
    ['claude-opus-4.7',   1_000_000, 128_000, 2.2,  'claude47', 'TEXT IMAGE PDF'],
    ['claude-opus-4.6',   1_000_000, 64_000,  2.2,  'claude46', 'TEXT IMAGE PDF'],
    ['claude-sonnet-4.6', 1_000_000, 64_000,  1.3,  'claude46', 'TEXT IMAGE PDF'],
    ['claude-opus-4.5',   200_000,   64_000,  2.2,  'none',     'TEXT IMAGE PDF'],
    ['claude-sonnet-4.5', 200_000,   64_000,  1.3,  'none',     'TEXT IMAGE PDF'],
    ['claude-sonnet-4',   200_000,   64_000,  1.3,  'none',     'TEXT IMAGE PDF'],
    ['claude-haiku-4.5',  200_000,   64_000,  0.4,  'none',     'TEXT IMAGE PDF'],
    ['gpt-5.6-sol',       272_000,   128_000, 2.4,  'gpt',      'TEXT IMAGE'],
    ['gpt-5.6-terra',     272_000,   128_000, 1.2,  'gpt',      'TEXT IMAGE'],
    ['gpt-5.6-luna',      272_000,   128_000, 1.1,  'gpt',      'TEXT IMAGE'],
    ['deepseek-3.2',      164_000,   64_000,  0.25, 'none',     'TEXT'],
    ['minimax-m2.5',      196_000,   64_000,  0.25, 'none',     'TEXT'],
    ['minimax-m2.1',      196_000,   64_000,  0.15, 'none',     'TEXT'],
    ['glm-5',             200_000,   64_000,  0.5,  'none',     'TEXT'],
    ['qwen3-coder-next',  256_000,   64_000,  0.05, 'none',     'TEXT'],
);

my (@LIST, %BY_ID, $PAGE, $DEFAULT);

# The list as it is without the tests' changes.
sub restore () {
    @LIST = @TABLE;
    ($PAGE, $DEFAULT) = (undef, 'auto');
    %BY_ID = map {
        my ($id, $window, $out, $rate, $schema, $types) = @$_;
        ($id => { id => $id, window => $window, max_output => $out, rate => $rate, schema => $SCHEMA{$schema},
                  types => [split ' ', $types], signed => scalar $id =~ /^claude-/ });
    } @TABLE;
}
restore();

# add: models as the list shows them; remove: ids; page: models a page; default: id or null
sub change (%arg) {
    for my $id (@{ $arg{remove} // [] }) {
        delete $BY_ID{$id} or die "no model '$id'\n";
        @LIST = grep { $_->[0] ne $id } @LIST;
    }
    for my $m (@{ $arg{add} // [] }) {
        my $limits = $m->{tokenLimits} // {};
        my $id = $m->{modelId} // die "a model needs a modelId\n";
        push @LIST, [$id, $m];
        $BY_ID{$id} = { id => $id, window => $limits->{maxInputTokens} // 200_000, max_output => $limits->{maxOutputTokens} // 64_000,
                        rate => $m->{rateMultiplier} // 1, schema => $m->{additionalModelRequestFieldsSchema},
                        types => $m->{supportedInputTypes} // [qw(TEXT IMAGE)], signed => scalar $id =~ /^claude-/i };
    }
    $PAGE = $arg{page} if exists $arg{page};
    $DEFAULT = $arg{default} if exists $arg{default};
}

sub find ($id) { $BY_ID{$id} }

sub _title ($id) { join ' ', map { /^(?:gpt|glm)$/ ? uc : ucfirst } split /-/, $id }

# undef: no token of ours
sub list_reply ($token = undef) {
    my $first = 0;
    if (defined $token) {
        ($first) = $token =~ /\Apage:"(\d+)"\z/ or return undef;
    }
    my $last = $PAGE && $first + $PAGE < @LIST ? $first + $PAGE : @LIST;
    my @models;
    for my $row (@LIST[$first .. $last - 1]) {
        if (ref $row->[1]) {
            push @models, $row->[1];
            next;
        }
        my $m = $BY_ID{ $row->[0] };
        push @models, {
            modelId => $m->{id}, modelName => _title($m->{id}), description => _title($m->{id}) . ' (simulated)',
            rateMultiplier => $m->{rate}, rateUnit => 'Credit', supportedInputTypes => $m->{types},
            tokenLimits   => { maxInputTokens => $m->{window}, maxOutputTokens => $m->{max_output} },
            promptCaching => { supportsPromptCaching => !!0 },
            $m->{schema} ? (additionalModelRequestFieldsSchema => $m->{schema}) : (),
        };
    }
    return { defaultModel => defined $DEFAULT ? { modelId => $DEFAULT } : undef, models => \@models,
             nextToken => $last < @LIST ? qq{page:"$last"} : undef };
}

# Undef when the value fits the schema, else the service's sentence.
sub schema_error ($value, $schema, $path = '') {
    my $where = $path eq '' ? 'the document' : "property '$path'";
    my $type = $schema->{type};
    if ($type eq 'object') {
        return "$where must be an object" if ref $value ne 'HASH';
        for my $key (sort keys %$value) {
            my $inner = $schema->{properties}{$key}
                or return "property '$key' is not defined in the schema and the schema does not allow additional properties";
            my $error = schema_error($value->{$key}, $inner, $path eq '' ? $key : "$path.$key");
            return $error if $error;
        }
        return undef;
    }
    if ($type eq 'integer') {
        return "$where must be an integer" if !is_int($value);
        return "$where must be between $schema->{minimum} and $schema->{maximum}"
            if $value < $schema->{minimum} || $value > $schema->{maximum};
        return undef;
    }
    return "$where must be a string" if !is_string($value);
    return undef if grep { $_ eq $value } @{ $schema->{enum} };
    return "$where must be one of the values: " . join ', ', @{ $schema->{enum} };
}

1;
