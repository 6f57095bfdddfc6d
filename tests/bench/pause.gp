# SPDX-License-Identifier: Apache-2.0
# The pause by strategy: $pause (name, median, p99, in ms) comes from the bench.
set title 'Pause of a full capture: 1 GiB, 512 MiB swept'
set ylabel 'ms (bars: median; whiskers: up to p99)'
set logscale y
set yrange [0.05:*]
set grid ytics lc rgb '#dddddd'
set style fill solid 0.8
set boxwidth 0.6
set xrange [-0.6:*]
set xtics font ',11' nomirror
set mytics 1
unset key
plot $pause using 0:2:xtic(1) with boxes lc rgb '#0060ad', \
     $pause using 0:2:2:3 with yerrorbars pt 7 ps 0.3 lw 2 lc rgb '#333333'
