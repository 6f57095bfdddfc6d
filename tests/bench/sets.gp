# SPDX-License-Identifier: Apache-2.0
# What a full capture costs by what is written to: $sets (of each of `count` contenders: its name, then rows of MiB,
# lost work: median, p99, longest gap: median, p99, in ms) and $copies (MiB, ms) come from the bench.
set multiplot layout 1,2 margins 0.11,0.81,0.14,0.83 spacing 0.08,0 \
    title 'Cost of a full capture of 1 GiB by how much of it is written to all the time'
colours = '#0060ad #229944 #888888 #dd5500'
points = '7 9 13 5'
least = 0.1  # a logarithmic scale has no 0: what is less is drawn here
at_least(ms) = ms < least ? least : ms
set xlabel 'MiB written to'
set ylabel 'ms (line: median; whiskers: up to p99)'
set logscale x 2
set logscale y
set xrange [3:1024]
set xtics 4
set yrange [least:*]
set grid ytics lc rgb '#dddddd'
set key at screen 0.99,0.83 right top samplen 2
set title 'Work that the guest lost' offset 0,-0.5
plot for [i=1:count] $sets index i-1 using 1:(at_least($2)):(at_least($2)):(at_least($3)) with yerrorlines lw 2 \
         pt int(word(points, i)) lc rgb word(colours, i) title columnheader(1), \
     $copies using 1:2 with lines lw 2 dt 2 lc rgb '#333333' title 'memcpy of it'
set title 'Longest gap'
unset key
unset ylabel
plot for [i=1:count] $sets index i-1 using 1:4:4:5 with yerrorlines lw 2 \
         pt int(word(points, i)) lc rgb word(colours, i) title columnheader(1)
