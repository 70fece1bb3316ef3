import { useEffect, useRef, type ReactNode } from 'react';
import uPlot from 'uplot';
import type { Series } from './series';
import { useNow } from '../ui/useNow';

const HEIGHT = 44;

interface Props {
  series: Series;
  /** Fixed bounds; otherwise from zero to what there is. */
  max?: number | undefined;
}

function colours(of: HTMLElement): { line: string; fill: string } {
  const style = getComputedStyle(of);
  return { line: style.getPropertyValue('--accent'), fill: style.getPropertyValue('--accent-faint') };
}

/** A small line of the last minutes. It is a picture only: the figure beside it says the same. */
export function Spark({ series, max }: Props): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const now = useNow();

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(
      {
        width: Math.max(40, element.clientWidth),
        height: HEIGHT,
        padding: [3, 0, 2, 0],
        cursor: { show: false },
        legend: { show: false },
        axes: [{ show: false }, { show: false }],
        scales: {
          x: { time: false },
          y: { range: (_u, _low, high) => [0, max ?? Math.max(1, (high ?? 0) * 1.15)] },
        },
        series: [
          {},
          {
            width: 1.75,
            stroke: () => colours(element).line,
            fill: () => colours(element).fill,
            points: { show: false },
            spanGaps: false,
          },
        ],
      },
      series.data() as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: Math.max(40, element.clientWidth), height: HEIGHT }));
    sizes.observe(element);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const repaint = (): void => made.redraw();
    dark.addEventListener('change', repaint);
    return () => {
      dark.removeEventListener('change', repaint);
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [series, max]);

  useEffect(() => plot.current?.setData(series.data() as uPlot.AlignedData), [series, now]);

  return <div className="spark" ref={box} aria-hidden="true" />;
}
