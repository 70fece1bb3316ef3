import { useEvent } from '@tallywire/client/react';
import { useEffect, useRef } from 'react';
import { Course } from './series';

/** The course of a job from its progress events, all that is retained of them. What is returned changes without a render. */
export function useCourse(job: string | null): { readonly current: Course } {
  const course = useRef(new Course());
  const total = useRef(0);
  useEffect(() => {
    course.current = new Course();
  }, [job]);
  useEvent(
    `jobs:${job ?? 'none'}`,
    ['job.started', 'job.progress', 'job.completed'],
    (event) => {
      if (event.type === 'job.started') course.current = new Course();
      else if (event.type === 'job.progress') {
        const { elapsed_ms, processed = 0, matched = 0, rate = 0 } = event.data;
        total.current = event.data.total ?? total.current;
        if (elapsed_ms === undefined || event.data.phase === 'load') return;
        const of = Math.max(1, total.current);
        course.current.add(elapsed_ms, { matched: (100 * matched) / of, speed: rate, open: Math.max(0, of - processed) });
      } else {
        const { duration_ms, match_rate } = event.data;
        if (duration_ms !== undefined && match_rate !== undefined) course.current.add(duration_ms, { matched: match_rate, speed: 0, open: 0 });
      }
    },
    { from: '0', skip: job === null },
  );
  return course;
}
