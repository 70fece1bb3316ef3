import { useEffect, useRef, type ReactNode } from 'react';
import uPlot from 'uplot';
import type { Line } from './series';

/** Below this a line says nothing. */
const LEAST = { width: 40, height: 28 };

interface Props {
  line: Line;
  /** A fixed upper bound; otherwise what there is. */
  max?: number | undefined;
}

function colours(of: HTMLElement): { line: string; fill: string } {
  const style = getComputedStyle(of);
  return { line: style.getPropertyValue('color'), fill: style.getPropertyValue('background-color') };
}

/** A small line. It is a picture only: the figure beside it says where it ends. */
export function Spark({ line, max }: Props): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const ink = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);

  useEffect(() => {
    const [element, colour] = [box.current, ink.current];
    if (!element || !colour) return;
    const size = (): { width: number; height: number } => ({
      width: Math.max(LEAST.width, element.clientWidth),
      height: Math.max(LEAST.height, element.clientHeight),
    });
    const made = new uPlot(
      {
        ...size(),
        padding: [4, 0, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        axes: [{ show: false }, { show: false }],
        scales: {
          x: { time: false, range: (_u, low, high) => [low ?? 0, Math.max((low ?? 0) + 1, high ?? 1)] },
          y: { range: (_u, _low, high) => [0, max ?? Math.max(1, (high ?? 0) * 1.15)] },
        },
        series: [{}, { width: 1.75, stroke: () => colours(colour).line, fill: () => colours(colour).fill, points: { show: false } }],
      },
      [[], []],
      element,
    );
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize(size()));
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
  }, [max]);

  useEffect(() => plot.current?.setData(line as unknown as uPlot.AlignedData), [line, max]);

  return (
    <div className="spark" ref={box} aria-hidden="true">
      <span className="ink" ref={ink} />
    </div>
  );
}
