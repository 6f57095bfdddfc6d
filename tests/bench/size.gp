# SPDX-License-Identifier: Apache-2.0
# The pause by size of memory: $chosen and $fork (GiB, median, p99, in ms) and name come from the bench.
set title 'Pause of a full capture by size of memory, 16 MiB of it written to all the time'
set xlabel 'GiB touched'
set ylabel 'ms (line: median; whiskers: up to p99)'
set logscale x 2
set xrange [0.2:16]
set yrange [0:*]
set key top left
set grid ytics lc rgb '#dddddd'
plot $chosen using 1:2:2:3 with yerrorlines lw 2 pt 7 lc rgb '#0060ad' title name, \
     $fork using 1:2:2:3 with yerrorlines lw 2 pt 5 lc rgb '#dd5500' title 'fork'
