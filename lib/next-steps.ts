/** What a user does after scaffolding, as lines for the terminal. The directory is relative to where yo was started. */
export function nextSteps(directory: string, isLive: boolean): string[] {
  const enter = directory ? [`  cd ${directory}`] : [];
  const common = [
    ...enter,
    '  uv run manage.py migrate',
    '  uv run manage.py runserver     http://127.0.0.1:8000/',
  ];
  const deploy = isLive
    ? ['  yo goboot:deploy               put the next commit live']
    : [
        '  yo goboot:rehearse             deploy to a throwaway host on this computer',
        '  yo goboot:deploy               put it live on your server',
      ];
  return ['Next:', ...common, ...deploy];
}
