package Test::Kiro::Capture;

# Reads what kiro_capture has written.

use strict;
use warnings;

use Exporter qw(import);
use Test::Kiro ();

our @EXPORT_OK = qw(captures capture_of names_of);

# Of a directory, oldest first: { name, id, files => { name => text } }
sub captures {
    my ($dir) = @_;
    my @all;
    for my $path (sort glob "$dir/*-req_*") {
        my ($name) = $path =~ m{([^/]+)\z};
        push @all, { name => $name, id => $name =~ s/^[^-]+-//r, files => { map { (m{([^/]+)\z})[0] => Test::Kiro::slurp($_) } glob "$path/*" } };
    }
    return @all;
}

# The one of a request; undef if none comes. It is written after the answer.
sub capture_of {
    my ($dir, $id) = @_;
    my $path = Test::Kiro::wait_for(defined $id ? 3 * Test::Kiro::patience() : 0, sub { (glob "$dir/*-$id")[0] });
    return undef unless defined $path;
    my ($capture) = grep { $_->{id} eq $id } captures($dir);
    return $capture;
}

sub names_of { return sort keys %{ ($_[0] // {})->{files} // {} } }

1;
