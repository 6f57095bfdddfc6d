# SPDX-License-Identifier: Apache-2.0
# The guest's work over time while it is captured once: $work1..3, names[], ends[] (ms) come from the bench.
set title 'Work done by a guest that sweeps 512 MiB, captured from 0 on'
set xlabel 'ms since the capture was asked for (triangles: complete)'
set ylabel 'share of its undisturbed speed'
set yrange [0:1.3]
set xrange [-50:*]
set key outside top center horizontal
set grid ytics lc rgb '#dddddd'
set arrow from 0, graph 0 to 0, graph 1 nohead dt 2 lc rgb '#888888'
set label 1 point pt 9 ps 2 lc rgb '#0060ad' at ends[1], 0.04
set label 2 point pt 9 ps 2 lc rgb '#dd5500' at ends[2], 0.04
set label 3 point pt 9 ps 2 lc rgb '#888888' at ends[3], 0.04
plot $work1 using 1:2 with fsteps lw 2 lc rgb '#0060ad' title names[1], \
     $work2 using 1:2 with fsteps lw 2 lc rgb '#dd5500' title names[2], \
     $work3 using 1:2 with fsteps lw 2 lc rgb '#888888' title names[3]
