# SPDX-License-Identifier: Apache-2.0
# The way back by size of the guest: $lazy1, $lazy2, $incoming and $loadvm (GiB, median in ms) come from the bench.
set title "From exec to the next line of a guest that comes back"
set xlabel 'GiB of the guest, nearly all of it touched'
set ylabel 'ms (median)'
set logscale x 2
set xrange [0.2:16]
set logscale y
set yrange [1:*]
set key outside top center horizontal
set grid ytics lc rgb '#dddddd'
plot $lazy1 using 1:2 with linespoints lw 2 pt 7 lc rgb '#0060ad' title 'Tintype, 1 CPU', \
     $lazy2 using 1:2 with linespoints lw 2 pt 6 lc rgb '#5599dd' title 'Tintype, 2 CPUs', \
     $incoming using 1:2 with linespoints lw 2 pt 5 lc rgb '#dd5500' title 'QEMU -incoming', \
     $loadvm using 1:2 with linespoints lw 2 pt 4 lc rgb '#888888' title 'QEMU loadvm'
