package AgentsTest::Metrics;

# Reads and checks Prometheus' text format, version 0.0.4.
#
#     my ($values, @faults) = AgentsTest::Metrics::read($text);
#     $values->{'agents_x_total{kind="a"}'}   # labels in the order they came
#
# A fault is a text that names the line: what Prometheus would not take, and
# what promtool warns of where this project means to follow (a name that does
# not begin with agents_, a counter that does not end in _total).
#
#     my $said = AgentsTest::Metrics::promtool($text);    # '' is good; undef:
#                                                         # no promtool here

use strict;
use warnings;
use File::Temp ();

my $NAME = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $LABEL = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"/;
my $VALUE = qr/[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?/;


sub read {
    my ($text) = @_;
    my (%values, %type, %help, %done, @faults, $family, $n);

    push @faults, 'no newline at the end' unless $text =~ /\n\z/;

    for my $line (split /\n/, $text) {
        $n++;

        if ($line =~ /^# (HELP|TYPE) ($NAME) (\S.*)$/) {
            my ($what, $name, $rest) = ($1, $2, $3);
            push @faults, "$n: $name comes twice"
                if $what eq 'HELP' ? $help{$name}++ : $type{$name};
            $type{$name} = $rest if $what eq 'TYPE';
            $family = $name;
            push @faults, head($n, $name, $what, $rest, \%help);
            next;
        }
        if ($line !~ /^($NAME)(\{$LABEL(?:,$LABEL)*\})? ($VALUE)$/) {
            push @faults, "$n: not understood: $line";
            next;
        }
        my ($name, $labels, $value) = ($1, $2 || '', $3);
        push @faults, "$n: $name$labels comes twice"
            if exists $values{"$name$labels"};
        $values{"$name$labels"} = $value;

        my $base = $name;
        $base =~ s/_(?:bucket|sum|count)$//
            if ($type{$family || ''} || '') eq 'histogram';
        push @faults, "$n: $name is not below its TYPE"
            unless defined $family && $base eq $family && $type{$base};
    }

    push @faults, histograms(\%values, \%type);
    return (\%values, @faults);
}


sub head {
    my ($n, $name, $what, $rest, $help) = @_;
    return () if $what eq 'HELP';
    return ($help->{$name} ? () : "$n: $name has no HELP before its TYPE",
            $rest =~ /^(?:counter|gauge|histogram)$/ ? ()
                : "$n: $name is of an unknown type",
            $name =~ /^agents_/ ? () : "$n: $name does not begin with agents_",
            !!($rest eq 'counter') eq !!($name =~ /_total$/) ? ()
                : "$n: $name: counters, and they alone, end in _total");
}


# Buckets ascend and add up to the count.
sub histograms {
    my ($values, $type) = @_;
    my (@faults, %buckets);

    for my $key (keys %$values) {
        my ($name, $labels) = $key =~ /^($NAME)_bucket\{(.*)\}$/ or next;
        next unless ($type->{$name} || '') eq 'histogram';
        if ($labels !~ s/,?le="([^"]*)"$//) {
            push @faults, "$key has no le at its end";
            next;
        }
        $buckets{$name . ' ' . $labels}{$1} = $values->{$key};
    }
    for my $key (sort keys %buckets) {
        my ($name, $labels) = split / /, $key, 2;
        $labels = "{$labels}" if length $labels;
        my %of = %{$buckets{$key}};
        my $inf = delete $of{'+Inf'};
        my $last = 0;

        for my $le (sort { $a <=> $b } keys %of) {
            push @faults, "$key: bucket $le is below the one before it"
                if $of{$le} < $last;
            $last = $of{$le};
        }
        push @faults, "$key: no bucket +Inf, or one that is not the count"
            if !defined $inf || $inf < $last
               || $inf != (defined $values->{"${name}_count$labels"}
                           ? $values->{"${name}_count$labels"} : -1);
        push @faults, "$key: no sum"
            unless exists $values->{"${name}_sum$labels"};
    }
    return @faults;
}


sub promtool {
    my ($text) = @_;
    return undef unless grep { -x "$_/promtool" } split /:/, $ENV{PATH};

    my $file = File::Temp->new;
    print $file $text;
    close $file;
    my $said = qx(promtool check metrics <$file 2>&1);
    return $? == 0 ? '' : $said || "exit status $?";
}


1;
